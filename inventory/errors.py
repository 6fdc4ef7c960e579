"""What can be wrong with a question to the inventory."""

from core.errors import Terminal


class DeviceMissing(Terminal):
    """There is no such device in the repository at this revision."""

    def __init__(self, device: str, revision: str = "") -> None:
        at = f" at {revision[:12]}" if revision else ""
        super().__init__(f"device '{device}' does not exist{at}; add network/devices/{device}.yaml")
        self.device = device


class NothingLeft(Terminal):
    """Every value of a scope is taken."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"nothing is left to allocate in '{scope}'; enlarge it or free something")
        self.scope = scope
