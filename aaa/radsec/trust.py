"""Which peers' certificates count: those of the CAs in `ca.pem` as it is now, not as it was when they connected."""

import ssl
from pathlib import Path
from typing import Any

import msgspec
import structlog
from cryptography import x509
from OpenSSL import crypto

from aaa.errors import CertificateNotUsable
from aaa.radsec.tls import FILES, folder
from core import clock

CA = "ca.pem"
_log = structlog.get_logger()


class Peer(msgspec.Struct, frozen=True):
    """Whoever is connected: its certificate (DER), the certificate's number and end (epoch seconds)."""

    certificate: bytes
    serial: int
    ends: float

    @classmethod
    def of(cls, ssl_object: Any) -> "Peer":
        """Of a handshake that is done."""
        shown: dict[str, Any] = ssl_object.getpeercert() or {}
        ends = ssl.cert_time_to_seconds(shown["notAfter"]) if "notAfter" in shown else 0.0
        der: bytes = ssl_object.getpeercert(binary_form=True) or b""
        return cls(der, int(shown.get("serialNumber", "0"), 16), ends)

    def is_over(self) -> bool:
        """Whether the certificate has ended."""
        return self.ends < clock.now().timestamp()


class Trust:
    """The CAs of one moment. Raises CertificateNotUsable."""

    def __init__(self, home: Path) -> None:
        path = folder(home) / CA
        self._store = crypto.X509Store()
        try:
            for one in x509.load_pem_x509_certificates(path.read_bytes()):
                self._store.add_cert(crypto.X509.from_cryptography(one))
        except (OSError, ValueError, crypto.Error) as error:
            raise CertificateNotUsable(str(path), f"it is no certificate in PEM: {error}") from error

    def holds(self, certificate: bytes) -> bool:
        """Whether a peer's certificate (DER) is of one of them. One that is only by way of CAs in between, which the
        peer showed and nobody kept, is not: its next handshake shows them again.
        """
        try:
            peer = crypto.X509.from_cryptography(x509.load_der_x509_certificate(certificate))
            crypto.X509StoreContext(self._store, peer).verify_certificate()
        except (ValueError, crypto.Error, crypto.X509StoreContextError):
            return False
        return True


def trust_now(home: Path) -> Trust | None:
    """The CAs as they are now; None, told in the log, while the file cannot be read."""
    try:
        return Trust(home)
    except CertificateNotUsable as error:
        _log.error("whom RadSec trusted it trusts on", why=str(error))
        return None


def stamp(home: Path) -> dict[str, tuple[int, int, int]]:
    """Of each file as it is now: another one when it was replaced."""
    found = {}
    for name in (*FILES, "crl.pem"):
        try:
            seen = (folder(home) / name).stat()
        except OSError:  # not there, or replaced at this very moment
            found[name] = 0, 0, 0
        else:
            found[name] = seen.st_mtime_ns, seen.st_size, seen.st_ino
    return found
