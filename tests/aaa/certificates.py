"""A certification authority for a test, and certificates of it."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = datetime.timedelta(days=1)


class Authority:
    """`issue(folder, name, prefix)` writes ca.pem, <prefix>.pem and <prefix>.key."""

    def __init__(self, name: str = "test CA") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _dated(self._name, self._name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.certificate = builder.sign(self._key, hashes.SHA256())

    def issue(self, folder: Path, name: str, prefix: str = "server") -> x509.Certificate:
        """A certificate for a DNS name, good for 127.0.0.1 too, for both ends of TLS."""
        folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = _dated(subject, self._name, key.public_key())
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        made = builder.add_extension(uses, critical=False).sign(self._key, hashes.SHA256())
        pem = serialization.Encoding.PEM
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (folder / "ca.pem").write_bytes(self.certificate.public_bytes(pem))
        (folder / f"{prefix}.pem").write_bytes(made.public_bytes(pem))
        (folder / f"{prefix}.key").write_bytes(private)
        return made

    def revoke(self, certificate: x509.Certificate) -> bytes:
        """A list that takes a certificate back, as PEM."""
        now = datetime.datetime.now(datetime.UTC)
        one = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(now)
        made = x509.CertificateRevocationListBuilder().issuer_name(self._name).last_update(now)
        made = made.next_update(now + _DAY).add_revoked_certificate(one.build())
        return made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _dated(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - _DAY).not_valid_after(now + _DAY)
