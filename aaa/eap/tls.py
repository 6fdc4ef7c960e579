"""EAP-TLS (RFC 5216, RFC 9190): the client's certificate is the login."""

from aaa.eap import names
from aaa.eap.judge import Decide, Done, refusal
from aaa.eap.phase import Phase
from aaa.eap.resume import Known
from aaa.eap.tunnel import Tunnel
from core import clock


class TlsPhase(Phase):
    """Nothing is said inside: when the handshake stands, the certificate is judged."""

    label = b"client EAP encryption"
    commits = True

    def __init__(self, revoked: frozenset[int]) -> None:
        self._revoked = revoked
        self._tunnel: Tunnel | None = None

    def through(self, tunnel: Tunnel) -> None:
        """Keep the tunnel for its certificate."""
        self._tunnel = tunnel

    def opened(self, identity: str, known: Known | None, decide: Decide) -> Done:
        """Whose certificate it is, and whether that login may in; a resumed session is judged just the same."""
        del known
        certificate = self._tunnel.certificate if self._tunnel else None
        if certificate is None:
            return refusal("wrong-credentials", "no client certificate", identity)
        named = ", ".join(names.of(certificate)) or "nobody"
        if certificate.serial_number in self._revoked:
            return refusal("wrong-credentials", f"client certificate {named}: revoked", identity)
        if certificate.not_valid_after_utc < clock.now():
            return refusal("wrong-credentials", f"client certificate {named}: expired", identity)
        login = names.login_of(certificate, identity)
        if login is None:
            return refusal("wrong-credentials", f"the certificate names {named}, not {identity}", identity)
        return Done(decide(login, lambda _password: True), login)

    def heard(self, clear: bytes, decide: Decide) -> Done:
        """Nobody speaks in EAP-TLS."""
        del clear, decide
        return refusal("unsupported-method", "EAP-TLS: somebody speaks inside")
