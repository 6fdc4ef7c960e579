"""Access ports in accel-ppp's words: which interfaces serve subscribers, and which VLANs appear by themselves.

vlan-mon watches the outermost tag that an interface sees, and only frames whose inside is PPPoE discovery, IPv4 or ARP
(drivers/vlan_mon of accel-ppp): for two tags the S-VLAN's interface must exist, and the C-VLANs on it are watched.
"""

from collections.abc import Iterator

import msgspec

from inventory.model import DeviceModel, EdgeSide
from renderers.contract import CannotRender

LONGEST_NAME = 15
"""IFNAMSIZ without the closing NUL; accel-ppp names a VLAN `%I.%N` and drops longer ones."""
_PER_LINE = 100


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in [pppoe] and [ipoe] for one port; `svlans` are interfaces to make before (two tags)."""

    port: str
    methods: tuple[str, ...]
    interfaces: tuple[str, ...]
    monitored: tuple[str, ...] = ()
    svlans: tuple[int, ...] = ()
    shared: bool = False
    """Many subscribers on one interface: accel-ppp then makes an interface for each."""


def access_of(model: DeviceModel, side: EdgeSide) -> Access:
    """A port of an edge: untagged, one tag, or two (`options: {access-tags: 1 | 2}`, 2 unless said otherwise)."""
    if "l2tp" in side.edge.methods:
        raise CannotRender(model.id, f"edge {side.edge_id} wants l2tp, which this renderer does not write")
    given = tuple(side.edge.methods)
    if side.edge.svlans is None:
        return Access(port=side.port, methods=given, interfaces=(side.port,), shared=True)
    tags = model.device.options.get("access-tags", 2)
    if tags not in (1, 2):
        raise CannotRender(model.id, f"options access-tags is {tags}; it is 1 or 2")
    ranges = side.edge.svlans
    svlans = tuple(tag for low, high in ranges for tag in range(low, high + 1))
    _short_enough(model, f"{side.port}.{max(svlans)}" + (".4094" if tags == 2 else ""))
    base = side.port.replace(".", "[.]")
    if tags == 1:
        watched = ",".join(f"{low}-{high}" if low != high else str(low) for low, high in ranges)
        return Access(
            port=side.port,
            methods=given,
            interfaces=tuple(f"re:^{base}[.]({each})$" for each in _alternatives(svlans)),
            monitored=(f"{side.port},{watched}",),
            shared=True,
        )
    return Access(
        port=side.port,
        methods=given,
        interfaces=(f"re:^{base}[.][0-9]+[.][0-9]+$",),
        monitored=tuple(f"{side.port}.{tag},1-4094" for tag in svlans),
        svlans=svlans,
    )


def _alternatives(tags: tuple[int, ...]) -> Iterator[str]:
    """A line of accel-ppp.conf ends at 1023 octets."""
    for at in range(0, len(tags), _PER_LINE):
        yield "|".join(map(str, tags[at : at + _PER_LINE]))


def _short_enough(model: DeviceModel, longest: str) -> None:
    if len(longest) > LONGEST_NAME:
        why = (
            f"a VLAN interface would be called {longest}, Linux takes {LONGEST_NAME} characters; "
            "give the port a shorter name (a systemd .link file)"
        )
        raise CannotRender(model.id, why)
