"""Where a login comes from, and whether that is where the subscriber's line ends."""

from aaa.radius.request import Asked
from aaa.view.records import Access, mac_key


def mac_of(asked: Asked) -> bytes:
    """Twelve hex digits of Calling-Station-Id, or of a login that is a MAC; b"" for neither."""
    key = mac_key(asked.calling) or mac_key(asked.login)
    return key[2:] if key else b""


def stranger(asked: Asked, access: Access) -> str:
    """Why a login is not from the bound circuit, MAC or port; "" when it is."""
    if access.circuits and not set(access.circuits) <= set(asked.circuits):
        return "another circuit-id or remote-id"
    if access.macs and mac_of(asked) not in access.macs:
        return "another MAC"
    if access.ports and asked.port not in access.ports:
        return "another port"
    return ""


def is_in(asked: Asked, places: tuple[bytes, ...]) -> bool:
    """Whether a login comes from one of these circuits or MACs."""
    return not set(places).isdisjoint(asked.circuits) or mac_of(asked) in places


def place_of(asked: Asked, device: str) -> bytes:
    """A name for the place that is the same whenever this line asks: NAS, and circuit, MAC or port there."""
    where = asked.circuits[0] if asked.circuits else mac_of(asked) or asked.port
    return device.encode() + b" " + where
