"""A small network as an operator writes it: three routers in a ring, r1 the route reflector, a customer on r3."""

from intents.kinds import path_of
from intents.loader import Document, load
from intents.reader import MemoryReader

CONFIG = """\
schema: 1
operator: {name: Example ISP, asn: 64500, timezone: Australia/Perth, currency: AUD}
"""

DEVICE = """\
site: perth1
role: router
platform: frr
manage: full
sections: [interfaces, routing]
management: {{address: 10.255.0.{n}}}
loopback: {{v4: 198.51.100.{n}/32, v6: "2001:db8:ffff::{n}/128"}}
routing:
  ospf: {{area: 0.0.0.0, hello: 1, dead: 10}}
  ibgp: {ibgp}
{more}"""

LINK = """\
type: routed
ends:
  - {{device: {a}, port: {pa}, v4: 192.0.2.{low}/31, v6: "2001:db8:fe::{low}/127"}}
  - {{device: {b}, port: {pb}, v4: 192.0.2.{high}/31, v6: "2001:db8:fe::{high}/127"}}
metric: {{ospf: {cost}}}
"""

MORE = """\
  ebgp:
    - {address: 192.0.2.65, asn: 64511, description: "transit | upstream!", secret: "enc:v1:transit",
       accept: [0.0.0.0/0], announce: [203.0.113.0/24], max: {v4: 1000}}
    - {address: "2001:db8:64::1", asn: 64511, accept: ["::/0"], announce: ["2001:db8:4000::/40"]}
  statics:
    - {prefix: 203.0.113.0/24, discard: true}
    - {prefix: "2001:db8:4000::/40", discard: true}
    - {prefix: 10.9.0.0/24, via: 192.0.2.1, distance: 250}
interfaces:
  uplink: {description: "transit", mtu: 9000, v4: 192.0.2.64/31, v6: "2001:db8:64::/127"}
  spare: {enabled: false}
"""

SERVICE = """\
customer: C-20001
type: l3
state: active
plan: business-1g
handoffs:
  - {role: primary, router: r3, port: cust0, v4: {us: 192.0.2.128/31, them: 192.0.2.129/31}}
  - {role: backup, router: r2, port: cust0, svlan: 210, v4: {us: 192.0.2.130/31, them: 192.0.2.131/31}}
bgp: {asn: 64496, secret: "enc:v1:customer", send: default, prefixes: [198.51.100.192/26], max: {v4: 10, v6: 10}}
on-hold: manual
"""

SERVICE_STATIC = """\
customer: C-20002
type: l3
state: active
plan: business-1g
handoffs: [{router: r3, port: cust1, v4: {us: 192.0.2.132/31, them: 192.0.2.133/31}}]
routes: [{prefix: 198.51.100.128/27}]
"""

ROUTERS = ("r1", "r2", "r3")
LOOPBACKS = {f"r{n}": (f"198.51.100.{n}", f"2001:db8:ffff::{n}") for n in (1, 2, 3)}
BGP_ENDS = 8
"""r2 and r3 each hold an IPv4 and an IPv6 session with r1: both ends count."""


def documents(cost: int = 10, extras: bool = False) -> dict[str, str]:
    """{path: YAML}; `cost` is the metric of the link r1-r2, `extras` adds customers and upstreams."""
    more = {n: MORE if extras and n == 1 else "" for n in (1, 2, 3)}
    ibgp = {1: "{reflector: true, cluster: 198.51.100.1}", 2: "{rr: [r1]}", 3: "{rr: [r1]}"}
    found = {"trunkline.yaml": CONFIG}
    for n in (1, 2, 3):
        found[f"network/devices/r{n}.yaml"] = DEVICE.format(n=n, ibgp=ibgp[n], more=more[n])
    ring = [
        ("r1", "eth0", "r2", "eth0", cost),
        ("r2", "eth1", "r3", "eth0", 10),
        ("r1", "eth1", "r3", "eth1", 10),
    ]
    for number, (a, pa, b, pb, price) in enumerate(ring):
        text = LINK.format(a=a, pa=pa, b=b, pb=pb, low=2 * number, high=2 * number + 1, cost=price)
        found[f"network/links/{a}--{b}.yaml"] = text
    if extras:
        found[path_of("service", "S-20001")] = SERVICE
        found[path_of("service", "S-20002")] = SERVICE_STATIC
    return found


def reader(cost: int = 10, extras: bool = False) -> MemoryReader:
    """The network as the renderer's side reads it."""
    loaded = []
    for path, text in documents(cost, extras).items():
        document = load(path, text.encode())
        assert isinstance(document, Document), document
        loaded.append(document)
    return MemoryReader(loaded)


class Opened:
    """Secrets whose clear text is their own name."""

    def open(self, sealed: str, path: str, key: str) -> str:
        return sealed.rpartition(":")[2]
