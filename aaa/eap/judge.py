"""What an EAP method asks of the rest: whether this login, proven like this, may in from here."""

from collections.abc import Callable

import msgspec

from aaa.radius.authenticate import Authenticator, Proof, Reason, Verdict
from aaa.radius.deferred import Ask

Decide = Callable[[str, Proof], Verdict]


class Done(msgspec.Struct, frozen=True):
    """The end of a conversation: the decision, whose it is, and the master session key (64 octets, b"": none)."""

    verdict: Verdict
    login: str
    msk: bytes = b""


def refusal(reason: Reason, detail: str, login: str = "") -> Done:
    """A refusal that no record had a part in."""
    return Done(Verdict(b"", reason, detail=detail), login)


class Judge:
    """Decides logins for the request at hand; remembers what it refused, and the password
    that the last proof saw, for its fingerprint."""

    def __init__(self, authenticator: Authenticator, ask: Ask) -> None:
        self._authenticator, self._ask = authenticator, ask
        self.password = b""
        self.refused: Done | None = None

    @property
    def identity(self) -> str:
        """The outer identity: the NAS repeats it as User-Name in every request (RFC 3579 section 2.1)."""
        return self._ask.asked.login if self._ask.asked else ""

    def decide(self, login: str, proof: Proof) -> Verdict:
        """The verdict on an inner identity."""

        def seen(password: bytes) -> bool:
            self.password = password
            return proof(password)

        asked = self._ask.asked
        if asked is None:  # accounting has no EAP
            return Verdict(b"", "unknown")
        asked = msgspec.structs.replace(asked, login=login)
        verdict = self._authenticator.decide(self._ask.packet, asked, self._ask.nas, self._ask.secret, seen)
        self.refused = None if verdict.accepted else Done(verdict, login)
        return verdict
