"""What a reply of somebody else's server may set on our NAS. Attributes are grouped; a realm's `allow` lets a group in.

Without `allow`, a reseller sets neither addresses and pools of ours, nor VRFs, tunnels and routes, nor filters by name,
nor a login's rights on the NAS itself. Our own Class is ours alone, and so is a User-Name outside of the realm: the NAS
would account the session to it. See docs/aaa/proxy.md.
"""

import re
from collections.abc import Callable

from aaa.radius import packet as wire
from aaa.radius.packet import Packet, vendor_pairs
from aaa.view.records import read_class

_CISCO = 9
# Framed-IP-Address 8, Netmask 9, Framed-IPv6-Prefix 97, Delegated-IPv6-Prefix 123, Framed-IPv6-Address 168;
# Framed-Pool 88, Framed-IPv6-Pool 100, Delegated-IPv6-Prefix-Pool 171, Stateful-IPv6-Address-Pool 172.
# Framed-Routing 10, Framed-Route 22, Framed-IPv6-Route 99, tunnels 64-67, 69, 81-83, 90, 91 (RFC 2868).
# Filter-Id 11, NAS-Filter-Rule 92. Callback 19/20, Management-* 133-136 (RFC 5607).
_PLAIN = {
    **dict.fromkeys((8, 9, 97, 123, 168, 88, 100, 171, 172), "pool"),
    **dict.fromkeys((10, 22, 99, 64, 65, 66, 67, 69, 81, 82, 83, 90, 91), "vrf"),
    **dict.fromkeys((11, 92), "filter"),
    **dict.fromkeys((19, 20, 133, 134, 135, 136), "admin"),
}
_VENDORS = {
    (14988, 22): "pool", (4874, 2): "pool", (4874, 161): "pool", (529, 218): "pool",
    (2011, 88): "pool", (2011, 191): "pool", (6527, 131): "pool",
    (4874, 1): "vrf", (2011, 94): "vrf", (6527, 100): "vrf", (55999, 1): "vrf",
    (14988, 19): "filter", (4874, 10): "filter", (4874, 11): "filter", (4874, 65): "filter", (9, 250): "filter",
    (6527, 134): "filter", (2011, 95): "filter", (2011, 140): "filter", (6527, 177): "filter", (55999, 3): "filter",
    (14988, 11): "filter", (14988, 26): "vrf", (14988, 30): "filter", (14988, 3): "admin", (2636, 1): "admin",
}  # fmt: skip
_CISCO_PAIRS = (
    (b"ip:addr", "pool"), (b"ip:pool", "pool"), (b"ipv6:addr", "pool"), (b"ipv6:prefix", "pool"),
    (b"ipv6:delegated", "pool"), (b"ipv6:pool", "pool"), (b"ip:vrf", "vrf"),
    (b"ip:route", "vrf"), (b"ipv6:route", "vrf"), (b"lcp:interface-config", "vrf"), (b"ip:ip-unnumbered", "vrf"),
    (b"vpdn:", "vrf"), (b"ip:inacl", "filter"), (b"ip:outacl", "filter"), (b"ipv6:inacl", "filter"),
    (b"ipv6:outacl", "filter"), (b"ip:traffic-class", "filter"), (b"ip:l4redirect", "filter"), (b"shell:", "admin"),
)  # fmt: skip
_KNOWN = {_CISCO, *(vendor for vendor, _kind in _VENDORS)}
_USER_NAME, _CLASS, _SERVICE_TYPE, _FILTER_ID = 1, 25, 6, 11
_RATE = re.compile(rb"[0-9]{1,12}/[0-9]{1,12}")
_FRAMED_ONLY = (2, 5, 10, 17)  # Framed, Outbound, Call-Check, Authorize-Only: none opens a prompt


def allowed(groups: tuple[str, ...], realm: str) -> Callable[[int, bytes], bool]:
    """Whether an attribute of a reply may pass, for a realm that allows these groups."""
    ours = b"@" + realm.lower().encode()

    def passes(kind: int, value: bytes) -> bool:
        if kind == _USER_NAME:
            return value.lower().endswith(ours)
        if kind == _CLASS:
            return read_class(value) is None
        return group_of(kind, value) in ("", *groups)

    return passes


def group_of(kind: int, value: bytes) -> str:
    """`pool`, `vrf`, `filter`, `admin`, or "" for what anybody may set."""
    if kind == _SERVICE_TYPE:
        return "" if int.from_bytes(value) in _FRAMED_ONLY else "admin"
    if kind == _FILTER_ID and _RATE.fullmatch(value):
        return ""  # accel-ppp and pppd take their speed in it
    if kind != wire.VENDOR_SPECIFIC:
        return _PLAIN.get(kind, "")
    inner = vendor_pairs(value)
    if not inner and int.from_bytes(value[:4]) in _KNOWN:
        return "admin"  # of no form that we can read: a NAS that is less strict might read anything in it
    found = {_vendor_group(*one) for one in inner} - {""}
    return min(found, default="")


def filtered(reply: Packet, groups: tuple[str, ...], realm: str) -> tuple[Packet, int]:
    """The reply without what it may not set, and how many attributes that were."""
    passes = allowed(groups, realm)
    kept = [one for one in reply.pairs if passes(*one)]
    dropped = len(reply.pairs) - len(kept)
    return (
        Packet(reply.code, reply.identifier, reply.authenticator, kept, reply.raw, reply.ma_at),
        dropped,
    )


def _vendor_group(vendor: int, kind: int, value: bytes) -> str:
    if vendor == _CISCO and kind == 1:
        return next((group for prefix, group in _CISCO_PAIRS if value.lower().startswith(prefix)), "")
    return _VENDORS.get((vendor, kind), "")
