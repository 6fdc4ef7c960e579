"""What can be wrong with gateways."""

from core.errors import Retryable, Terminal


class GatewayUnknown(Terminal):
    """No gateway of that name."""

    status = 404

    def __init__(self, name: str) -> None:
        super().__init__(f"gateway '{name[:40]}' is not set up: write it in trunkline.yaml under gateways")


class EventRefused(Terminal):
    """A webhook whose signature is wrong, or that is older than the tolerance."""

    status = 400

    def __init__(self, gateway: str, why: str) -> None:
        super().__init__(f"{gateway}: the event is refused: {why}")


class GatewaySilent(Retryable):
    """No answer, or one that is no answer: what became of it is not known yet."""

    def __init__(self, gateway: str, why: str) -> None:
        super().__init__(f"{gateway}: no answer: {why}; it is asked again with the same key")


class KeyRefused(Retryable):
    """It does not let us in: that says nothing of what was asked, now or before."""

    def __init__(self, gateway: str, why: str) -> None:
        super().__init__(
            f"{gateway} refuses our key ({why[:80]}): mend gateways.{gateway}.key in trunkline.yaml; "
            "what waits for it is asked again"
        )


class AutopayMissing(Terminal):
    """An account without autopay."""

    def __init__(self, account: str) -> None:
        super().__init__(f"{account} has no autopay: trunkline billing autopay on {account} …")


class MethodNotUsable(Terminal):
    """A stored method by which an account cannot pay."""

    status = 409

    def __init__(self, gateway: str, method: str, why: str) -> None:
        super().__init__(f"{method[:40]} of {gateway} cannot be used: {why}")


class MethodEnded(Terminal):
    """A stored method that has ended at the gateway."""

    status = 409

    def __init__(self, gateway: str, method: str, why: str) -> None:
        super().__init__(f"{method[:40]} has ended at {gateway} ({why}): ask the customer for another method")


class GatewayRefused(Terminal):
    """It understood, and will not do it however often it is asked."""

    status = 502

    def __init__(self, gateway: str, why: str) -> None:
        super().__init__(
            f"{gateway} refuses: {why[:200]}; mend that and ask again: trunkline billing autopay run"
        )
