"""TLS contexts of a node, from `<home>/radius/tls/{ca,server}.pem` and `server.key`; both sides show a certificate."""

import hashlib
import ssl
from pathlib import Path
from typing import Any

from cryptography import x509

from aaa.errors import CertificateNotUsable

FILES = ("ca.pem", "server.pem", "server.key")


def folder(home: Path) -> Path:
    """Where a node keeps its certificates."""
    return home / "radius" / "tls"


def has_certificates(home: Path) -> bool:
    """Whether all three files are there: without them there is no RadSec."""
    return all((folder(home) / name).exists() for name in FILES)


def server_context(home: Path) -> ssl.SSLContext:
    """For NASes that come to us: TLS 1.2 or newer, and a certificate of the CA. Raises CertificateNotUsable."""
    context = _loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), home)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(home: Path) -> ssl.SSLContext:
    """For servers that we go to: theirs has to be of the CA and to show the name that we asked for."""
    return _loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), home)


def revoked(home: Path) -> frozenset[int]:
    """Serial numbers that `crl.pem` beside the certificates takes back; none without it. Raises CertificateNotUsable.

    Only the numbers count: a list that is older than it says itself would otherwise shut everybody out.
    """
    try:
        return frozenset(
            one.serial_number for one in x509.load_pem_x509_crl((folder(home) / "crl.pem").read_bytes())
        )
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError) as error:
        raise CertificateNotUsable(str(folder(home) / "crl.pem"), f"it is no CRL in PEM: {error}") from error


def names_of(ssl_object: Any) -> list[str]:
    """What a verified peer may be called: its SAN's DNS names and addresses, its common name, its fingerprint."""
    shown: dict[str, Any] = ssl_object.getpeercert() or {}
    names = [value for kind, value in shown.get("subjectAltName", ()) if kind in ("DNS", "IP Address")]
    names += [value for part in shown.get("subject", ()) for kind, value in part if kind == "commonName"]
    raw: bytes = ssl_object.getpeercert(binary_form=True) or b""
    return [f"sha256:{hashlib.sha256(raw).hexdigest()}", *names]


def _loaded(context: ssl.SSLContext, home: Path) -> ssl.SSLContext:
    where = folder(home)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for name in FILES:
        if not (where / name).exists():
            raise CertificateNotUsable(str(where / name), "it is not there")
    try:
        context.load_cert_chain(where / "server.pem", where / "server.key")
        context.load_verify_locations(where / "ca.pem")
    except (ssl.SSLError, OSError) as error:
        raise CertificateNotUsable(str(where), str(error)) from error
    return context
