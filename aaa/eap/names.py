"""Whom a client certificate names: SAN (UPN, mail, DNS), then CN. Pure."""

from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import NameOID

UPN = "1.3.6.1.4.1.311.20.2.3"


def of(certificate: x509.Certificate) -> list[str]:
    """Every name in it, the most telling first."""
    return list(dict.fromkeys([*_alternative(certificate), *_common(certificate)]))


def login_of(certificate: x509.Certificate, identity: str) -> str | None:
    """The login that the identity asks for, as the certificate spells it; None when that is somebody else's.

    An anonymous identity (`anonymous`, `@realm`: RFC 9190 section 2.1.7 wants it so) leaves it to the certificate.
    """
    found = of(certificate)
    local, _at, _realm = identity.partition("@")
    if local.lower() in ("", "anonymous"):
        return found[0] if found else None
    wanted = identity.removeprefix("host/").casefold()  # as Windows names a machine
    return next((name for name in found if name.casefold() == wanted), None)


def _alternative(certificate: x509.Certificate) -> Iterator[str]:
    try:
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return
    for other in san.get_values_for_type(x509.OtherName):
        if other.type_id.dotted_string == UPN:
            yield from _text(other.value)
    yield from san.get_values_for_type(x509.RFC822Name)
    yield from san.get_values_for_type(x509.DNSName)


def _text(der: bytes) -> Iterator[str]:
    """A short UTF8String (X.690: tag 12, one octet of length)."""
    if len(der) > 2 and der[0] == 12 and der[1] == len(der) - 2 and der[1] < 128:
        yield der[2:].decode("utf-8", "replace")


def _common(certificate: x509.Certificate) -> Iterator[str]:
    for attribute in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        yield str(attribute.value)
