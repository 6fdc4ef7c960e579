"""Our own CA for EAP and RadSec: the server's certificate, clients' certificates, and whom it takes them back from.

Everything lies in one folder, `<home>/radius/tls`; keys have mode 0600. Who brings certificates of their own replaces
`server.pem`, `server.key` and `ca.pem`.
"""

import contextlib
import ipaddress
import os
import re
from datetime import timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage
from cryptography.x509.oid import NameOID

from aaa.eap import names
from aaa.errors import CertificateNotMade
from core import clock

AUTHORITY_DAYS, SERVER_DAYS, CLIENT_DAYS = 3650, 730, 730
_BACK = timedelta(hours=1)
"""A client whose clock is a little behind believes us, too."""
_HOST = re.compile(r"[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")
_MOST_NAME = 64


class Told(msgspec.Struct, frozen=True):
    """A certificate for people: whose it is, until when, and whether it was taken back."""

    file: str
    names: list[str]
    serial: str
    until: str
    days: int
    revoked: bool = False


class Authority:
    """The CA of a folder. Raises CertificateNotMade when it is not there or not usable."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.certificate = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
            key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
        except FileNotFoundError as error:
            raise CertificateNotMade(
                f"{error.filename} is missing; `trunkline radius certificate make`"
            ) from error
        except (OSError, ValueError, TypeError) as error:
            raise CertificateNotMade(f"the CA in {folder} cannot be read: {error}") from error
        if not isinstance(key, rsa.RSAPrivateKey) or key.public_key() != self.certificate.public_key():
            raise CertificateNotMade(f"{folder / 'ca.key'} is not the key of {folder / 'ca.pem'}")
        self._key = key

    @classmethod
    def make(cls, folder: Path, name: str, days: int = AUTHORITY_DAYS) -> "Authority":
        """A new CA, unless there is one: `ca.pem` and `ca.key`. Raises CertificateNotMade."""
        check_name(name)
        if (folder / "ca.pem").exists():
            raise CertificateNotMade(
                f"{folder / 'ca.pem'} is there already; `renew` makes a new server certificate"
            )
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = rsa.generate_private_key(65537, 3072)
        subject = _name(name)
        made = _builder(subject, subject, key.public_key(), days)
        made = made.add_extension(x509.BasicConstraints(True, 0), True).add_extension(
            _usage(key_cert_sign=True, crl_sign=True), True
        )
        write(folder / "ca.key", _private(key))
        write(folder / "ca.pem", made.sign(key, SHA256()).public_bytes(Encoding.PEM), 0o644)
        return cls(folder)

    def serve(self, host: str, days: int = SERVER_DAYS) -> x509.Certificate:
        """A new `server.pem` and `server.key`; a running server takes them without a restart."""
        key = rsa.generate_private_key(65537, 2048)
        made = self._issue(host, key, days, [Usage.SERVER_AUTH, Usage.CLIENT_AUTH])
        write(self.folder / "server.key", _private(key))
        write(self.folder / "server.pem", made.public_bytes(Encoding.PEM), 0o644)
        return made

    def client(self, login: str, password: str, days: int = CLIENT_DAYS) -> bytes:
        """A certificate that logs `login` in, with its key and our CA, as PKCS#12 under a password."""
        key = rsa.generate_private_key(65537, 2048)
        made = self._issue(login, key, days, [Usage.CLIENT_AUTH])
        kept = self.folder / "issued"
        kept.mkdir(exist_ok=True, mode=0o700)
        write(kept / f"{made.serial_number:x}.pem", made.public_bytes(Encoding.PEM), 0o644)
        protection = serialization.BestAvailableEncryption(password.encode())
        return pkcs12.serialize_key_and_certificates(
            login.encode(), key, made, [self.certificate], protection
        )

    def revoke(self, name: str) -> list[str]:
        """Take back every client certificate of a login or serial number; gives their serials."""
        serials = [
            one.serial_number
            for one in self.issued()
            if name in names.of(one) or name.lower() == f"{one.serial_number:x}"
        ]
        if not serials:
            raise CertificateNotMade(f"no client certificate of '{name}' was issued here")
        self._write_crl(serials)
        return [f"{serial:x}" for serial in serials]

    def issued(self) -> list[x509.Certificate]:
        """Every client certificate that was made here."""
        return [_read(path) for path in sorted((self.folder / "issued").glob("*.pem"))]

    def _issue(
        self, name: str, key: rsa.RSAPrivateKey, days: int, usage: list[x509.ObjectIdentifier]
    ) -> x509.Certificate:
        check_name(name)
        made = _builder(_name(name), self.certificate.subject, key.public_key(), days)
        made = (
            made.add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(x509.SubjectAlternativeName([_alternative(name)]), False)
            .add_extension(x509.ExtendedKeyUsage(usage), False)
            .add_extension(_usage(key_encipherment=True, digital_signature=True), True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False)
        )
        return made.sign(self._key, SHA256())

    def _write_crl(self, serials: list[int]) -> None:
        path, now = self.folder / "crl.pem", clock.now()
        made = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        made = made.last_update(now).next_update(now + timedelta(days=AUTHORITY_DAYS))
        old = _revoked(self.folder)
        fresh = set(serials) - {one.serial_number for one in old}
        for one in old:
            made = made.add_revoked_certificate(one)
        for serial in sorted(fresh):
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
            made = made.add_revoked_certificate(entry.build())
        write(path, made.sign(self._key, SHA256()).public_bytes(Encoding.PEM), 0o644)


def tell(folder: Path) -> list[Told]:
    """CA, server and client certificates of the folder, as they are. Raises CertificateNotMade for what is none."""
    paths = [folder / "ca.pem", folder / "server.pem", *sorted((folder / "issued").glob("*.pem"))]
    gone = {one.serial_number for one in _revoked(folder)}
    found = []
    for path in paths:
        if path.exists():
            made = _read(path)
            end = made.not_valid_after_utc
            days = (end - clock.now()).days
            revoked = made.serial_number in gone
            serial = f"{made.serial_number:x}"
            found.append(Told(path.name, names.of(made), serial, end.isoformat(), days, revoked))
    return found


def write(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Whole or not at all, and never readable by others for a moment. Raises CertificateNotMade."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        partial.replace(path)
    except OSError as error:
        raise CertificateNotMade(f"{path} cannot be written: {error.strerror}") from error


def check_name(name: str) -> None:
    """Whether a certificate can have this name. Raises CertificateNotMade."""
    if not name.strip():
        raise CertificateNotMade("a certificate needs a name, such as radius.example.net or a login")
    _alternative(name)


def _read(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CertificateNotMade(f"{path} is no certificate in PEM; bring it back from a backup") from error


def _revoked(folder: Path) -> list[x509.RevokedCertificate]:
    path = folder / "crl.pem"
    try:
        return list(x509.load_pem_x509_crl(path.read_bytes())) if path.exists() else []
    except (OSError, ValueError) as error:
        raise CertificateNotMade(
            f"{path} is no list of revoked certificates in PEM; bring it back from a backup"
        ) from error


def _builder(
    subject: x509.Name, issuer: x509.Name, key: rsa.RSAPublicKey, days: int
) -> x509.CertificateBuilder:
    now = clock.now()
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    made = made.serial_number(x509.random_serial_number()).not_valid_before(now - _BACK)
    made = made.not_valid_after(now + timedelta(days=days))
    return made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:_MOST_NAME])])


def _alternative(name: str) -> x509.GeneralName:
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(name))
    if name.isascii() and "@" in name:
        with contextlib.suppress(ValueError):  # of another form than mail: a login all the same
            return x509.RFC822Name(name)
    if _HOST.fullmatch(name):
        return x509.DNSName(name)
    octets = name.encode()
    if len(octets) > 127:
        raise CertificateNotMade(f"'{name}' is too long for a name in a certificate")
    return x509.OtherName(x509.ObjectIdentifier(names.UPN), b"\x0c" + bytes((len(octets),)) + octets)


def _usage(**meant: bool) -> x509.KeyUsage:
    """Key usage with these bits and no other."""
    bits = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{bit: meant.get(bit, False) for bit in bits})


def _private(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
