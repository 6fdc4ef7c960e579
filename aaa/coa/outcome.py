"""What a NAS said to a CoA- or Disconnect-Request (RFC 5176), in the words of receipts."""

from typing import Literal

import msgspec

from aaa.radius import packet as wire

Result = Literal["acked", "nak", "timeout", "no-session", "unreachable", "superseded"]
NO_SESSION = 503
# RFC 5176 section 3.6, and RFC 5176's registry.
ERROR_CAUSES = {
    201: "residual session context removed", 202: "invalid EAP packet", 401: "unsupported attribute",
    402: "missing attribute", 403: "NAS identification mismatch", 404: "invalid request",
    405: "unsupported service", 406: "unsupported extension", 407: "invalid attribute value",
    501: "administratively prohibited", 502: "request not routable", 503: "session context not found",
    504: "session context not removable", 505: "other proxy processing error", 506: "resources unavailable",
    507: "request initiated", 508: "multiple session selection unsupported",
}  # fmt: skip
_ACKS = (wire.COA_ACK, wire.DISCONNECT_ACK)


class Outcome(msgspec.Struct, frozen=True):
    """What the NAS said. `code` is the Error-Cause of a NAK (0: it gave none); `attempts` is how often it was sent:
    0 for what never left, because the NAS had been silent or a newer change took its place.
    """

    result: Result
    code: int = 0
    milliseconds: int = 0
    attempts: int = 1

    @property
    def done(self) -> bool:
        """Whether no session is left on the old policy: acknowledged, or the NAS knows no such session."""
        return self.result in ("acked", "no-session")

    @property
    def word(self) -> str:
        """The outcome as receipts spell it: `nak(506)`; who cannot be reached does not answer."""
        if self.result == "nak":
            return f"nak({self.code})"
        return "timeout" if self.result == "unreachable" else str(self.result)

    @property
    def meaning(self) -> str:
        """The outcome in words."""
        if self.result in ("timeout", "unreachable") and not self.attempts:
            return f"{self.result} (not sent: the NAS has been silent)"
        return f"{self.result} ({ERROR_CAUSES.get(self.code, self.code)})" if self.code else str(self.result)


def outcome_of(reply: wire.Packet, milliseconds: int, attempts: int) -> Outcome:
    """Read a verified reply."""
    cause = reply.first(101)
    code = int.from_bytes(cause) if cause is not None and len(cause) == 4 else 0
    if reply.code in _ACKS:
        return Outcome("acked", 0, milliseconds, attempts)
    return Outcome("no-session" if code == NO_SESSION else "nak", code, milliseconds, attempts)
