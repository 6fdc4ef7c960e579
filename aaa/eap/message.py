"""EAP packets (RFC 3748 section 4) and how RADIUS carries them (RFC 3579 section 3.1). Pure."""

from collections.abc import Iterable

import msgspec

from aaa.radius.packet import Packet, pair
from core.settings import SettingNotUsable

REQUEST, RESPONSE, SUCCESS, FAILURE = 1, 2, 3, 4
IDENTITY, NAK, MD5, TLS, TTLS, PEAP, MSCHAPV2, EXTENSIONS = 1, 3, 4, 13, 21, 25, 26, 33
EAP_MESSAGE = 79
_CHUNK = 253
NAMES = {"peap": PEAP, "ttls": TTLS, "tls": TLS, "mschapv2": MSCHAPV2, "md5": MD5}
"""The methods that can be offered, as settings name them."""


class Eap(msgspec.Struct, frozen=True):
    """A request or response: `kind` is its type, `data` what follows it."""

    code: int
    identifier: int
    kind: int
    data: bytes


def read(raw: bytes) -> Eap | None:
    """The packet in these octets; None for what is none, or is a Success or Failure. Octets past Length are padding."""
    if len(raw) < 5:
        return None
    length = int.from_bytes(raw[2:4])
    if raw[0] not in (REQUEST, RESPONSE) or not 5 <= length <= len(raw):
        return None
    return Eap(raw[0], raw[1], raw[4], raw[5:length])


def write(code: int, identifier: int, kind: int, data: bytes) -> bytes:
    """A request or response."""
    return bytes((code, identifier)) + (len(data) + 5).to_bytes(2) + bytes((kind,)) + data


def ended(code: int, identifier: int) -> bytes:
    """Success or Failure: it has the identifier of the response that it answers (RFC 3748 section 4.2)."""
    return bytes((code, identifier, 0, 4))


def joined(packet: Packet) -> bytes:
    """The EAP packet of all EAP-Message attributes; b"" is EAP-Start."""
    return b"".join(packet.all(EAP_MESSAGE))


def attributes(raw: bytes) -> bytes:
    """EAP-Message attributes of at most 253 octets each."""
    return b"".join(pair(EAP_MESSAGE, raw[at : at + _CHUNK]) for at in range(0, len(raw), _CHUNK))


def offered(names: Iterable[str]) -> tuple[int, ...]:
    """The numbers of methods by name. Raises SettingNotUsable for a name that there is not."""
    chosen = tuple(names)
    unknown = [name for name in chosen if name not in NAMES]
    if unknown or not chosen:
        raise SettingNotUsable("radius_eap_methods", ",".join(chosen), f"name some of {', '.join(NAMES)}")
    return tuple(NAMES[name] for name in chosen)


def told(kind: int) -> str:
    """A method's name for people."""
    return next(
        (f"EAP-{name.upper()}" for name, number in NAMES.items() if number == kind), f"EAP type {kind}"
    )
