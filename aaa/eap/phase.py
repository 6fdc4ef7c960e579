"""What happens once TLS stands: each method's own second phase."""

from abc import ABC, abstractmethod

from aaa.eap.judge import Decide, Done
from aaa.eap.resume import Known
from aaa.eap.tunnel import Tunnel


class Phase(ABC):
    """Answers with octets for the tunnel, or with Done."""

    label: bytes
    """Of the exporter that the session's keys come from."""
    commits = False
    """Whether the handshake's end is confirmed inside in TLS 1.3 (RFC 9190 section 2.5)."""

    @abstractmethod
    def opened(self, identity: str, known: Known | None, decide: Decide) -> bytes | Done:
        """The handshake is over and the peer said nothing yet; `known` when it resumed a session of its own."""

    @abstractmethod
    def heard(self, clear: bytes, decide: Decide) -> bytes | Done:
        """The peer said something inside; b"" is an acknowledgement."""

    def through(self, tunnel: Tunnel) -> None:
        """The tunnel stands: for whoever needs its keys or its certificate."""
        del tunnel
