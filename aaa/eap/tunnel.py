"""TLS over memory: what came in goes in, what is to be sent comes out. No socket (RFC 5216, 5281, PEAPv0)."""

import contextlib
from hashlib import sha256

from cryptography import x509
from OpenSSL import SSL

from aaa.eap.certificates import reason_of

_READ = 16384


class TunnelBroken(Exception):
    """The handshake or a record failed; the words are for support."""


class Tunnel:
    """The server's end of one TLS connection."""

    def __init__(self, context: SSL.Context) -> None:
        self._tls = SSL.Connection(context, None)
        self._tls.set_accept_state()
        self.established = False

    def feed(self, message: bytes) -> bytes:
        """Take the peer's records; what they say inside, b"" when nothing. Raises TunnelBroken."""
        self._tls.bio_write(message) if message else None
        try:
            if not self.established:
                self._tls.do_handshake()
                self.established = True
            return self._said()
        except SSL.WantReadError:
            return b""
        except SSL.Error as error:
            raise TunnelBroken(self._tls.get_app_data() or _words(error)) from error

    def _said(self) -> bytes:
        said = b""
        with contextlib.suppress(SSL.WantReadError):
            while len(said) < 4 * _READ:
                said += self._tls.recv(_READ)
        return said

    def say(self, clear: bytes) -> None:
        """Put something into the tunnel; `output` has the records then."""
        self._tls.send(clear)

    def output(self) -> bytes:
        """What is to be sent to the peer."""
        out = b""
        with contextlib.suppress(SSL.WantReadError):
            while True:
                out += self._tls.bio_read(_READ)
        return out

    def exported(self, label: bytes, size: int) -> bytes:
        """Keying material (RFC 5705)."""
        return self._tls.export_keying_material(label, size)

    def keep(self) -> None:
        """Let the session be resumed: OpenSSL forgets those of connections that were not shut down."""
        self._tls.set_shutdown(SSL.SENT_SHUTDOWN | SSL.RECEIVED_SHUTDOWN)

    @property
    def session(self) -> bytes:
        """Names the session: a resumed one has the master secret of the first (TLS 1.2)."""
        return sha256(self._tls.master_key() or b"").digest()

    @property
    def certificate(self) -> x509.Certificate | None:
        """The peer's certificate."""
        return self._tls.get_peer_certificate(as_cryptography=True)


def _words(error: SSL.Error) -> str:
    reason = reason_of(error)
    if "alert unknown ca" in reason or "alert bad certificate" in reason:
        return f"the client does not trust our certificate ({reason})"
    return f"TLS: {reason}"
