"""What can go wrong while a device is brought to its intent."""

from core.errors import Retryable, Terminal


class LeaseLost(Retryable):
    """Another worker took the device over while we worked on it."""

    def __init__(self, device: str) -> None:
        super().__init__(f"{device}: another worker holds its lease now; this attempt wrote nothing more")


class NoManagement(Terminal):
    """A device is to be managed and cannot be reached by its intent."""

    def __init__(self, device: str, what: str) -> None:
        super().__init__(
            f"{device} cannot be reached: {what}; complete `management` in network/devices/{device}.yaml"
        )


class EmptyRender(Terminal):
    """A rendering came out empty: never pushed, since it would wipe the device."""

    def __init__(self, device: str) -> None:
        super().__init__(
            f"{device}: its rendering is empty; nothing is pushed before its intent says something"
        )


class UnhealthyAfterCommit(Terminal):
    """The device lost what it had before the commit; it was rolled back."""

    def __init__(self, device: str, lost: list[str]) -> None:
        super().__init__(
            f"{device} lost {', '.join(lost)} after the commit and was rolled back; look at its diff"
        )


class RevertedAgain(Terminal):
    """A commit was taken back again and again, by the device's timer or by us."""

    def __init__(self, device: str, times: int) -> None:
        super().__init__(
            f"{device} took the commit back, {times} tries: it may cut us off from the device; look at its diff"
        )


class NotVerified(Terminal):
    """After the confirmed commit the device still differs from what was rendered."""

    def __init__(self, device: str) -> None:
        super().__init__(
            f"{device} still differs from its rendering after a confirmed commit; look at its diff"
        )


class RunOver(Terminal):
    """A device run that has ended cannot be taken further."""

    def __init__(self, run: str) -> None:
        super().__init__(f"run {run} is over; ask for the device again with `trunkline apply`")
