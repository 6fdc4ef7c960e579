"""The right subscriber with the right password: at the right place, not held, with an address to get? Pure."""

from collections.abc import Callable

from aaa.radius.request import Asked
from aaa.view.records import Access, Free, mac_key

SESSION_TIMEOUT = 27
Refusal = tuple[str, str]
"""(reason, detail) for support."""


def out_of_place(asked: Asked, access: Access, device: str) -> Refusal | None:
    """Another NAS, circuit, MAC or port than the service's. No override helps: it is somebody else's place."""
    if device not in access.nas:
        return "wrong-port", f"{device} does not serve this line"
    if access.circuits and not set(access.circuits) & set(asked.circuits):
        return "wrong-port", "another circuit-id"
    if access.macs and mac_of(asked) not in access.macs:
        return "wrong-port", "another MAC"
    if access.ports and asked.port not in access.ports:
        return "wrong-port", "another port"
    return None


def restricted(asked: Asked, access: Access, now: float) -> Refusal | None:
    """Why a login from the right place is refused; None: it is not. `now` in epoch seconds."""
    if access.status == "full":
        # From where it already is: the NAS lost that session without a Stop, and this one replaces its ghost.
        if {*asked.circuits, mac_of(asked)} & set(access.live):
            return _over(access, now)
        return "too-many-sessions", f"{len(access.live)} places are in use"
    if access.status != "ok":
        return access.status, ""
    return _over(access, now)


def _over(access: Access, now: float) -> Refusal | None:
    return ("held", "its time is over") if access.until and access.until <= now else None


def released(access: Access, override: Callable[[str], int], now: float) -> tuple[Free, int] | None:
    """The free policy and until when (epoch seconds), if an override is on: recorded, or of this node alone."""
    if access.free is None:
        return None
    until = max(access.released, override(access.service))
    return (access.free, until) if until > now else None


def with_timeout(block: bytes, until: int, now: float) -> bytes:
    """Reply attributes with a Session-Timeout (RFC 2865 section 5.27) that ends at `until`, or earlier as it was."""
    left = max(1, int(until - now))
    kept, at = b"", 0
    while at < len(block):
        attribute = block[at : at + block[at + 1]]
        if attribute[0] == SESSION_TIMEOUT:
            left = min(left, int.from_bytes(attribute[2:]))
        else:
            kept += attribute
        at += len(attribute)
    return kept + bytes((SESSION_TIMEOUT, 6)) + left.to_bytes(4)


def mac_of(asked: Asked) -> bytes:
    """Twelve hex digits of the MAC that asks; b"" when it is not said."""
    key = mac_key(asked.calling) or mac_key(asked.login)
    return key[2:] if key else b""
