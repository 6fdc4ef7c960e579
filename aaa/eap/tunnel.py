"""TLS over memory: what came in goes in, what is to be sent comes out. No socket (RFC 5216, 5281, PEAPv0)."""

import contextlib
from hashlib import sha256

from cryptography import x509
from OpenSSL import SSL

from aaa.eap.certificates import Pair, reason_of

_READ = 16384
_KEYS = 128
_LABEL13 = b"EXPORTER_EAP_TLS_Key_Material"


class TunnelBroken(Exception):
    """The handshake or a record failed; the words are for support."""


class Tunnel:
    """The server's end of one TLS connection."""

    def __init__(self, contexts: Pair) -> None:
        self._contexts = contexts
        self._begun: SSL.Connection | None = None
        self.established = False

    @property
    def _tls(self) -> SSL.Connection:
        if self._begun is None:
            raise TunnelBroken("TLS: the client did not begin")
        return self._begun

    def feed(self, message: bytes) -> bytes:
        """Take the peer's records; what they say inside, b"" when nothing. Raises TunnelBroken."""
        if self._begun is None:
            self._begun = SSL.Connection(self._contexts.for_hello(message), None)
            self._begun.set_accept_state()
        if message:
            self._tls.bio_write(message)
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

    @property
    def is_tls13(self) -> bool:
        """Whether it is TLS 1.3, where some of EAP is done in another way (RFC 9190, RFC 9427)."""
        return self._tls.get_protocol_version() == SSL.TLS1_3_VERSION

    def exported(self, label: bytes, size: int) -> bytes:
        """Keying material (RFC 5705)."""
        return self._tls.export_keying_material(label, size)

    def master_key(self, kind: int, label: bytes) -> bytes:
        """The method's master session key: under its own label, or in TLS 1.3 under one for all with its type."""
        if self.is_tls13:
            return self._tls.export_keying_material(_LABEL13, _KEYS, bytes((kind,)))[:64]
        return self.exported(label, _KEYS)[:64]

    def keep(self) -> None:
        """Let the session be resumed: OpenSSL forgets those of connections that were not shut down."""
        self._tls.set_shutdown(SSL.SENT_SHUTDOWN | SSL.RECEIVED_SHUTDOWN)

    @property
    def session(self) -> bytes:
        """Names the session: a resumed one has the master secret of the first. b"" in TLS 1.3: nothing is resumed."""
        return b"" if self.is_tls13 else sha256(self._tls.master_key() or b"").digest()

    @property
    def certificate(self) -> x509.Certificate | None:
        """The peer's certificate."""
        return self._tls.get_peer_certificate(as_cryptography=True)


def _words(error: SSL.Error) -> str:
    reason = reason_of(error)
    if "alert unknown ca" in reason or "alert bad certificate" in reason:
        return f"the client does not trust our certificate ({reason})"
    return f"TLS: {reason}"
