"""The node's certificates for EAP and RadSec: `<home>/radius/tls/{ca.pem,server.pem,server.key}`, read when
they change. `crl.pem` beside them, when there is one, names revoked client certificates.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from OpenSSL import SSL, crypto

from aaa.eap import names
from aaa.eap.hello import offers_tls13
from core import clock

_log = structlog.get_logger()
_FILES = ("ca.pem", "server.pem", "server.key", "crl.pem")
_SOON = timedelta(days=21)
_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:DHE+AES"
_RESUME = 8 * 3600
"""Seconds that a client may come back without its password or certificate being asked again."""


class Pair(msgspec.Struct, frozen=True):
    """One for each version of TLS: only in 1.2 sessions are resumed, since only there we can tell whose it was."""

    tls12: SSL.Context
    tls13: SSL.Context

    def for_hello(self, message: bytes) -> SSL.Context:
        """The one for a client that says this first."""
        return self.tls13 if offers_tls13(message) else self.tls12


class Contexts(msgspec.Struct, frozen=True):
    """What handshakes are made from: `tunnel` asks for no client certificate, `client` does and checks it."""

    tunnel: Pair
    client: Pair
    revoked: frozenset[int]
    soon: str
    """One sentence about what will expire, or empty."""


class CertificatesNotUsable(Exception):
    """Why no handshake can be made, in one sentence for the operator."""


class Certificates:
    """The contexts of one worker; a new certificate counts without a restart."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: object = None
        self._contexts: Contexts | None = None
        self.problem = ""
        """Why there are no contexts; empty when there are."""

    def contexts(self) -> Contexts | None:
        """The contexts of the files as they are now; None, told once in the log, when they are not usable."""
        stamp = _stamp(self._folder)
        if stamp != self._seen:
            self._seen = stamp
            self._load()
        return self._contexts

    def _load(self) -> None:
        try:
            self._contexts, self.problem = load(self._folder), ""
            if self._contexts.soon:
                _log.warning(self._contexts.soon)
        except Exception as error:  # a kind of key that OpenSSL does not take must not end the worker
            self._contexts, self.problem = None, str(error) or repr(error)
            _log.warning("EAP by TLS is refused", why=self.problem)


def _stamp(folder: Path) -> tuple[object, ...]:
    found: list[object] = []
    for name in _FILES:
        try:
            seen = (folder / name).stat()
            found.append((seen.st_mtime_ns, seen.st_size, seen.st_ino))
        except OSError:
            found.append(None)
    # A certificate ends without anybody touching its file.
    return (*found, clock.now().date())


def load(folder: Path) -> Contexts:
    """Read, compare and check the files. Raises CertificatesNotUsable."""
    chain, authorities = read_certificates(folder / "server.pem"), read_certificates(folder / "ca.pem")
    key = check_server(folder, chain[0])
    crl = _crl(folder, authorities)
    revoked = frozenset(one.serial_number for one in crl) if crl is not None else frozenset()
    try:
        tunnel, client = _pair(chain, key), _pair(chain, key)
        for one in (client.tls12, client.tls13):
            _ask_client(one, folder / "ca.pem", revoked)
    except SSL.Error as error:
        raise CertificatesNotUsable(f"{folder} cannot be used for TLS: {reason_of(error)}") from error
    return Contexts(tunnel, client, revoked, _ends_soon(folder, chain[0]))


def read_certificates(path: Path) -> list[x509.Certificate]:
    """The certificates of a PEM file. Raises CertificatesNotUsable."""
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except FileNotFoundError:
        raise CertificatesNotUsable(
            f"{path} is missing: `trunkline radius certificate make` makes one"
        ) from None
    except (OSError, ValueError) as error:
        raise CertificatesNotUsable(f"{path} is no certificate in PEM: {error}") from error


def check_server(folder: Path, certificate: x509.Certificate) -> Any:
    """The certificate's key, when they belong together and it is valid now. Raises CertificatesNotUsable."""
    path = folder / "server.key"
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except FileNotFoundError:
        raise CertificatesNotUsable(f"{path} is missing") from None
    except (OSError, ValueError, TypeError) as error:
        raise CertificatesNotUsable(f"{path} is no key in PEM without a password: {error}") from error
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if key.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        raise CertificatesNotUsable(
            f"{path} is not the key of {folder / 'server.pem'}: put both there together"
        )
    if not certificate.not_valid_before_utc <= clock.now() <= certificate.not_valid_after_utc:
        raise CertificatesNotUsable(
            f"{folder / 'server.pem'} is valid from {certificate.not_valid_before_utc:%Y-%m-%d} to "
            f"{certificate.not_valid_after_utc:%Y-%m-%d}: `trunkline radius certificate renew` makes a new one"
        )
    return key


def judged(
    conn: SSL.Connection, cert: crypto.X509, code: int, depth: int, good: bool, revoked: frozenset[int]
) -> bool:
    """One certificate of the client's chain, during the handshake; why not goes to the connection for support."""
    why = "" if good else _verdict(code)
    if good and depth == 0 and cert.to_cryptography().serial_number in revoked:
        why = "revoked"
    if why and not conn.get_app_data():
        named = next(iter(names.of(cert.to_cryptography())), "without a name")
        whose = "client certificate" if depth == 0 else "client's CA"
        conn.set_app_data(f"{whose} {named}: {why}")
    return not why


def _verdict(code: int) -> str:
    """OpenSSL's word for a verification error (X509_V_ERR_…)."""
    return {
        2: "issuer unknown", 9: "not yet valid", 10: "expired", 18: "self-signed", 19: "from another CA",
        20: "from another CA", 21: "from another CA", 24: "from another CA", 26: "not meant for clients",
    }.get(code, f"not verified (OpenSSL {code})")  # fmt: skip


def reason_of(error: SSL.Error) -> str:
    """The last words of an OpenSSL error."""
    queue = error.args[0] if error.args else []
    return str(queue[-1][-1]) if isinstance(queue, list) and queue else "the connection was closed"


def _ask_client(context: SSL.Context, authorities: Path, revoked: frozenset[int]) -> None:
    context.load_verify_locations(str(authorities))
    context.load_client_ca(str(authorities).encode())
    context.set_verify(
        SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT,
        lambda conn, cert, code, depth, good: judged(conn, cert, code, depth, bool(good), revoked),
    )


def _pair(chain: list[x509.Certificate], key: Any) -> Pair:
    older, newer = _context(chain, key), _context(chain, key)
    older.set_max_proto_version(SSL.TLS1_2_VERSION)
    older.set_session_id(b"trunkline-eap")
    older.set_session_cache_mode(SSL.SESS_CACHE_SERVER)  # OpenSSL keeps 20,480 of them at most
    older.set_timeout(_RESUME)
    newer.set_options(SSL.OP_NO_TICKET)
    newer.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    return Pair(older, newer)


def _context(chain: list[x509.Certificate], key: Any) -> SSL.Context:
    made = SSL.Context(SSL.TLS_SERVER_METHOD)
    made.set_min_proto_version(SSL.TLS1_2_VERSION)
    made.set_cipher_list(_CIPHERS)
    made.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE)
    made.use_certificate(chain[0])
    for one in chain[1:]:
        made.add_extra_chain_cert(one)
    made.use_privatekey(key)
    return made


def _crl(folder: Path, authorities: list[x509.Certificate]) -> x509.CertificateRevocationList | None:
    """The revocation list, when it is one of our CA's; an outdated one still names whom it names."""
    path = folder / "crl.pem"
    try:
        crl = x509.load_pem_x509_crl(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CertificatesNotUsable(f"{path} is no revocation list in PEM: {error}") from error
    if not any(_signed(crl, one) for one in authorities):
        raise CertificatesNotUsable(f"{path} is not signed by a CA of {folder / 'ca.pem'}")
    return crl


def _signed(crl: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    try:
        return crl.is_signature_valid(authority.public_key())  # type: ignore[arg-type]
    except (InvalidSignature, TypeError):
        return False


def _ends_soon(folder: Path, certificate: x509.Certificate) -> str:
    end = certificate.not_valid_after_utc
    if end - clock.now() > _SOON:
        return ""
    return f"{folder / 'server.pem'} expires on {end:%Y-%m-%d}: `trunkline radius certificate renew` makes a new one"
