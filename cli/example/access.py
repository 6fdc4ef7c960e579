"""BNGs, OLTs and APs on top of the backbone, and the links between them."""

from collections.abc import Iterator
from typing import Any

from cli.example.areas import AREAS, Area, access_port, bngs_of, edge_of, pools_of
from cli.example.options import ExampleOptions
from cli.example.subscribers import (
    RADIO_VLAN,
    SECTORS,
    VOICE_VLAN,
    Place,
    node_number,
    place,
    pon_svlan,
)
from intents.device.roles import Ap, Bng, Coa, Nas, Olt, Pon, Sector, Shared
from intents.device.routing import Ibgp, Ospf, Routing
from intents.device.schema import Device, Interface, Loopback
from intents.kinds import path_of
from intents.link.schema import Link, LinkEnd, LinkMetric
from intents.scalars import Address, Rate, Secret, VlanSet
from intents.site.schema import Location, Site
from inventory.graph import addressing

Named = Iterator[tuple[tuple[str, str], Any]]
_BNGS = ("bng1", "bng2")
_PAIR = "perth-bng"
_HILL = {"perth-west": ("West Hill", -32.04, 115.77), "perth-north": ("North Hill", -31.74, 115.8)}


def access(options: ExampleOptions, routers: int, links: int, reflectors: tuple[str, ...]) -> Named:
    """Everything between the backbone and the subscribers; `routers` and `links` are how many it has."""
    for rank, bng in enumerate(_BNGS):
        yield ("device", bng), _bng(rank, bng, routers + 1 + rank, reflectors, options)
    yield from _uplinks(links, options)
    number = routers + 1 + len(_BNGS)
    places = [place(i) for i in range(options.services)]
    for area in AREAS:
        mine = [at for at in places if at.area is area]
        yield from _area(area, mine, number + area.index, options)


def _bng(rank: int, bng: str, number: int, reflectors: tuple[str, ...], options: ExampleOptions) -> Device:
    v4, v6 = addressing.loopback(number)
    secret = Secret(options.seal(path_of("device", bng), "nas.secrets"))
    own = (str(v4).split("/")[0], str(v6).split("/")[0])
    return Device(
        site=AREAS[rank].router, role="bng", platform=options.bng_platform, manage="full",
        pair=_PAIR if options.redundant else None,
        management=options.management(bng, number),
        loopback=Loopback(v4=v4, v6=v6),
        interfaces={"eth1": Interface(description="access")},
        routing=Routing(ospf=Ospf(hello=options.hello, dead=options.dead), ibgp=Ibgp(rr=reflectors)),
        nas=Nas(
            vendor=options.bng_vendor,
            sources=tuple(Address(source) for source in options.nas_sources(bng, *own)),
            secrets=(secret,),
            message_authenticator=options.message_authenticator,
            coa=Coa(port=options.coa_port, rate=50),
        ),
        bng=Bng(ac_name=bng),
    )  # fmt: skip


def _uplinks(links: int, options: ExampleOptions) -> Named:
    """Each BNG to its own router, and to the other one where there is redundancy."""
    pairs = [(bng, area.router, "eth2") for bng, area in zip(_BNGS, AREAS, strict=True)]
    if options.redundant:
        pairs += [(bng, area.router, "eth4") for bng, area in zip(_BNGS, reversed(AREAS), strict=True)]
    for extra, (bng, router, port) in enumerate(pairs):
        ours, theirs = addressing.link(links + extra)
        ends = (
            LinkEnd(device=router, port=f"to-{bng}", v4=ours[0], v6=ours[1]),
            LinkEnd(device=bng, port=port, v4=theirs[0], v6=theirs[1]),
        )
        yield (
            ("link", f"{router}--{bng}"),
            Link(type="routed", ends=ends, metric=LinkMetric(ospf=10), capacity=Rate(10**10)),
        )


def _area(area: Area, mine: list[Place], number: int, options: ExampleOptions) -> Named:
    olts = range(max((at.node for at in mine if not at.radio), default=0) + 1)
    aps = range(max((at.node for at in mine if at.radio), default=0) + 1)
    for pool in pools_of(area, options).items():
        yield ("pool", pool[0]), pool[1]
    site, name = f"{area.edge}-hill", _HILL[area.edge]
    yield (
        ("site", site),
        Site(name=name[0], location=Location(lat=name[1], lon=name[2]), timezone="Australia/Perth"),
    )
    pons = {
        node: sorted({at.port for at in mine if at.node == node and not at.radio} or {0}) for node in olts
    }
    carried = {f"olt{node_number(area, node)}": _carried(area, node, pons[node]) for node in olts}
    carried |= {f"ap{node_number(area, node)}": [RADIO_VLAN + node] for node in aps}
    for node in olts:
        yield _olt(area, node, pons[node], number + 2 * node, options)
    for node in aps:
        yield _ap(area, node, site, number + 2 * (len(olts) + node), options)
    yield from _trunks(area, carried, options)
    vlans = [vlan for some in carried.values() for vlan in some]
    yield ("edge", area.edge), edge_of(area, vlans, options)


def _carried(area: Area, node: int, pons: list[int]) -> list[int]:
    """The S-VLANs of an OLT: its voice VLAN and its PONs'."""
    return [VOICE_VLAN + node, *(pon_svlan(area, node, pon) for pon in pons)]


def _olt(
    area: Area, node: int, pons: list[int], number: int, options: ExampleOptions
) -> tuple[tuple[str, str], Device]:
    name = f"olt{node_number(area, node)}"
    return ("device", name), Device(
        site=area.router, role="olt", platform=options.access_platform, manage="full",
        management=options.management(name, number),
        olt=Olt(
            edge=area.edge, uplink="0/9/0", circuit_id="{device} xpon {pon}:{onu}.{port}",
            pons={
                f"0/1/{pon}": Pon(svlan=pon_svlan(area, node, pon), cvlans=VlanSet.parse("1000-1999"))
                for pon in pons
            },
            shared={"voice": Shared(svlan=VOICE_VLAN + node)},
        ),
    )  # fmt: skip


def _ap(
    area: Area, node: int, site: str, number: int, options: ExampleOptions
) -> tuple[tuple[str, str], Device]:
    name = f"ap{node_number(area, node)}"
    secret = Secret(options.seal(path_of("device", name), "nas.secrets"))
    own = str(addressing.management(number))
    return ("device", name), Device(
        site=site, role="ap", platform=options.access_platform, manage="full",
        management=options.management(name, number),
        nas=Nas(
            vendor=options.access_vendor,
            sources=tuple(Address(source) for source in options.nas_sources(name, own)),
            secrets=(secret,), message_authenticator="auto", coa=Coa(port=options.coa_port, rate=5),
        ),
        ap=Ap(
            edge=area.edge,
            sectors={f"s{n + 1}": _sector(area, node, n) for n in range(SECTORS)},
        ),
    )  # fmt: skip


def _sector(area: Area, node: int, number: int) -> Sector:
    return Sector(
        port=f"ath{number}", azimuth=180 * number, beam=180, frequency=5500 + 40 * number, width=40,
        ssid=f"EX-{area.edge}-{node + 1}-{number + 1}", auth="eap", max_cpes=40, svlan=RADIO_VLAN + node,
    )  # fmt: skip


def _trunks(area: Area, carried: dict[str, list[int]], options: ExampleOptions) -> Named:
    """The area's first OLT hangs on the BNGs with the VLANs of all; the other OLTs and the APs hang on it."""
    head = f"olt{node_number(area, 0)}"
    everything = sorted(vlan for vlans in carried.values() for vlan in vlans)
    for number, bng in enumerate(bngs_of(area, options)):
        yield _trunk((head, f"0/9/{number}"), (bng, access_port(area, bng)), everything, options)
    for number, (name, vlans) in enumerate(carried.items()):
        if name != head:
            yield _trunk(
                (name, "0/9/0" if name.startswith("olt") else "eth0"),
                (head, f"0/10/{number}"),
                vlans,
                options,
            )


def _trunk(
    one: tuple[str, str], other: tuple[str, str], vlans: list[int], options: ExampleOptions
) -> tuple[tuple[str, str], Link]:
    ends = (LinkEnd(device=one[0], port=one[1]), LinkEnd(device=other[0], port=other[1]))
    svlans = VlanSet.parse(sorted(vlans)) if options.vlans else None
    return ("link", f"{one[0]}--{other[0]}"), Link(
        type="trunk", ends=ends, capacity=Rate(10**10), svlans=svlans
    )
