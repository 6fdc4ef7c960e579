"""The subscribers: which line and which service number `i` has, without a list of them anywhere.

Fifteen numbers make a block, and blocks go to the areas in turn: 12 internet services on GPON, two on radio, one voice
service on the line of the one before it. Two numbers are special: BUSINESS has no line, HOSPITAL is never held by a
machine.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from cli.example.areas import AREAS, Area, delegated, fixed_v4
from cli.example.catalog import REALM
from cli.example.options import ExampleOptions
from intents.device.routing import MaxPrefixes
from intents.kinds import path_of
from intents.line.schema import Cpe, Eap, GponLine, RadioLine
from intents.scalars import Address4, Interface4, Interface6, Mac, Prefix, Prefix6, Secret, Serial
from intents.service.schema import (
    Attach,
    Handoff,
    HandoffV4,
    HandoffV6,
    Service,
    ServiceBgp,
    ServiceIpv4,
    ServiceIpv6,
    Session,
    Sip,
)

BLOCK, RADIO, VOICE = 15, (5, 11), 14
BUSINESS, HOSPITAL = 7, 9
PER_PON, PONS = 32, 16
PER_SECTOR, SECTORS = 30, 2
VOICE_VLAN, RADIO_VLAN = 3000, 3500
_GPON_PLANS = ("fibre-100", "fibre-500", "fibre-1000")


class Place(msgspec.Struct, frozen=True):
    """Where number `i` is: its area, whether on radio, and its rank among those of its area and technology."""

    area: Area
    radio: bool
    rank: int
    number: int
    """Its rank in the area."""

    @property
    def node(self) -> int:
        """Which OLT or AP of the area, from 0."""
        return self.rank // (PER_SECTOR * SECTORS if self.radio else PER_PON * PONS)

    @property
    def device(self) -> str:
        """The OLT's or AP's id."""
        return f"{'ap' if self.radio else 'olt'}{node_number(self.area, self.node)}"

    @property
    def port(self) -> int:
        """Which PON of the OLT or sector of the AP, from 0."""
        size, count = (PER_SECTOR, SECTORS) if self.radio else (PER_PON, PONS)
        return self.rank // size % count

    @property
    def onu(self) -> int:
        """The ONU id on the PON, from 1."""
        return self.rank % PER_PON + 1

    @property
    def svlan(self) -> int:
        """The S-VLAN of the PON or of the AP."""
        return RADIO_VLAN + self.node if self.radio else pon_svlan(self.area, self.node, self.port)


def node_number(area: Area, node: int) -> int:
    """OLTs and APs are numbered through the areas in turn."""
    return node * len(AREAS) + area.index + 1


def pon_svlan(area: Area, node: int, pon: int) -> int:
    """One S-VLAN a PON."""
    return area.svlan + node * PONS + pon


def place(i: int) -> Place:
    """Where number `i` (from 0) is."""
    block, within = divmod(i, BLOCK)
    turn = block // len(AREAS)
    radio = within in RADIO
    before = sum(other < within for other in RADIO)
    rank = turn * len(RADIO) + before if radio else turn * (BLOCK - len(RADIO)) + within - before
    return Place(AREAS[block % len(AREAS)], radio, rank, turn * BLOCK + within)


def line_id(i: int) -> str:
    """`L-20001` is number 0."""
    return f"L-{20001 + i}"


def service_id(i: int) -> str:
    """`S-10001` is number 0."""
    return f"S-{10001 + i}"


def customer_id(i: int) -> str:
    """A voice service is the customer's of the number before it."""
    return f"C-{10001 + i - (i % BLOCK == VOICE)}"


def login(i: int) -> str:
    """The PPPoE login of number `i`."""
    return f"s{10001 + i}@{REALM}"


def subscribers(options: ExampleOptions) -> Iterator[tuple[tuple[str, str], Any]]:
    """Line and service of every number."""
    for i in range(options.services):
        yield ("line", line_id(i)), _line(i, options)
        yield ("service", service_id(i)), _service(i, options)


def _line(i: int, options: ExampleOptions) -> GponLine | RadioLine:
    at, path = place(i), path_of("line", line_id(i))
    if at.radio:
        password = Secret(options.seal(path, "eap.password"))
        cpe = Cpe(mac=Mac(f"02:00:5e:{i >> 16:02x}:{i >> 8 & 255:02x}:{i & 255:02x}"))
        eap = Eap(login=line_id(i), password=password)
        return RadioLine(state="active", ap=at.device, sector=f"s{at.port + 1}", cpe=cpe, eap=eap)
    return GponLine(
        state="active", olt=at.device, pon=f"0/1/{at.port}", onu=at.onu,
        serial=Serial(f"EXMP{i + 1:08X}"), model="hg8245",
    )  # fmt: skip


def _service(i: int, options: ExampleOptions) -> Service:
    path = path_of("service", service_id(i))
    if i == BUSINESS:
        return _business(i, path, options)
    if i % BLOCK == VOICE:
        return _voice(i, path, options)
    return _radio(i) if place(i).radio else _fibre(i, path, options)


def _fibre(i: int, path: str, options: ExampleOptions) -> Service:
    at = place(i)
    password = Secret(options.seal(path, "session.password"))
    return Service(
        customer=customer_id(i), type="internet", state="active", line=line_id(i),
        plan=_GPON_PLANS[i % len(_GPON_PLANS)],
        attach=Attach(port="eth1", svlan=at.svlan, cvlan=1000 + at.onu),
        session=Session(method="pppoe", login=login(i), password=password, bind=options.bind),
        ipv4=ServiceIpv4(mode="cgnat"),
        ipv6=ServiceIpv6(wan="slaac", pd=Prefix6(delegated(at.area, at.number))),
        on_hold="manual" if i == HOSPITAL else "auto",
    )  # fmt: skip


def _radio(i: int) -> Service:
    at = place(i)
    address = fixed_v4(at.area, at.rank)
    circuit = f"{at.device} s{at.port + 1} {line_id(i)}"
    return Service(
        customer=customer_id(i), type="internet", state="active", line=line_id(i), plan="air-50",
        attach=Attach(svlan=at.svlan),
        session=Session(method="ipoe", circuit_id=circuit, bind=("mac",)),
        ipv4=ServiceIpv4(mode="fixed", address=Address4(address)) if address else ServiceIpv4(mode="cgnat"),
        ipv6=ServiceIpv6(wan="none", pd=Prefix6(delegated(at.area, at.number))),
    )  # fmt: skip


def _voice(i: int, path: str, options: ExampleOptions) -> Service:
    at = place(i - 1)
    number, password = (Secret(options.seal(path, f"sip.{key}")) for key in ("number", "password"))
    return Service(
        customer=customer_id(i), type="voice", state="active", line=line_id(i - 1), plan="voice-home",
        attach=Attach(port="pots1", svlan=VOICE_VLAN + at.node),
        sip=Sip(number=number, login=f"v{10001 + i}", password=password),
        on_hold="emergency-only",
    )  # fmt: skip


def _business(i: int, path: str, options: ExampleOptions) -> Service:
    secret = Secret(options.seal(path, "bgp.secret"))
    return Service(
        customer=customer_id(i), type="l3", state="active", plan="business-1g", on_hold="manual",
        handoffs=(_handoff("primary", "perth1", 0), _handoff("backup", "perth2", 2)),
        bgp=ServiceBgp(
            asn=64496, secret=secret, prefixes=(Prefix("198.51.100.192/26"), Prefix("2001:db8:b000::/48")),
            max=MaxPrefixes(v4=10, v6=10),
        ),
    )  # fmt: skip


def _handoff(role: Any, router: str, low: int) -> Handoff:
    four = [Interface4(f"192.0.2.{128 + low + side}/31") for side in (0, 1)]
    six = [Interface6(f"2001:db8:c000:{low:x}::{side:x}/127") for side in (0, 1)]
    return Handoff(
        role=role, router=router, port="cust0",
        v4=HandoffV4(us=four[0], them=four[1]), v6=HandoffV6(us=six[0], them=six[1]),
    )  # fmt: skip
