"""What a ClientHello offers (RFC 8446 section 4.1.2), read before OpenSSL sees it. Pure."""

from collections.abc import Iterator

_HANDSHAKE, _CLIENT_HELLO, _SUPPORTED_VERSIONS, _TLS13 = 22, 1, 43, b"\x03\x04"


def offers_tls13(message: bytes) -> bool:
    """Whether supported_versions names TLS 1.3; False for what is no ClientHello."""
    hello = b"".join(_fragments(message))
    if len(hello) < 39 or hello[0] != _CLIENT_HELLO:
        return False
    at = 39 + hello[38]  # type, length, version, random, session id
    at += 2 + int.from_bytes(hello[at : at + 2])  # cipher suites
    at += 1 + int.from_bytes(hello[at : at + 1])  # compression
    return any(kind == _SUPPORTED_VERSIONS and _named(value) for kind, value in _extensions(hello[at + 2 :]))


def _fragments(message: bytes) -> Iterator[bytes]:
    """The handshake octets of every record."""
    at = 0
    while at + 5 <= len(message) and message[at] == _HANDSHAKE:
        after = at + 5 + int.from_bytes(message[at + 3 : at + 5])
        yield message[at + 5 : after]
        at = after


def _extensions(octets: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(octets):
        after = at + 4 + int.from_bytes(octets[at + 2 : at + 4])
        yield int.from_bytes(octets[at : at + 2]), octets[at + 4 : after]
        at = after


def _named(versions: bytes) -> bool:
    return any(versions[at : at + 2] == _TLS13 for at in range(1, len(versions), 2))
