"""A small network with IPoE as an operator writes it: a BNG that relays, an OLT, a Kea, four subscribers."""

from intents.kinds import path_of
from intents.loader import Document, load
from intents.reader import MemoryReader

KEA_ADDRESS = "10.255.78.12"
PAGE = "198.51.100.90"
GATEWAYS = ("100.64.0.1/24", "203.0.113.1/28", "100.127.0.1/24")
"""What the BNG has on the access line: the gateways of its pools, the first is what it relays from."""
CIRCUIT = "olt7-1"
"""The first subscriber's circuit, as the OLT's template makes it, and the interface that the relay names."""

CONFIG = """\
schema: 1
operator: {name: Example ISP, asn: 64500, timezone: Australia/Perth, currency: AUD}
aaa: {servers: [{address: 10.255.77.1}]}
logins: {net-ssh: {name: root, key: "KEY"}}
guards: {restrict: {count: 50}, deletes: {count: 50}}
rollout: {canary: 1, steps: [100], soak: 0s, confirm: 30s}
windows: {dhcp: "02:00-02:01"}
"""

BNG = """\
site: perth1
role: bng
platform: accel_ppp
state: active
loopback: {v4: 198.51.100.11/32}
nas: {vendor: accel-ppp, sources: [10.255.77.11], secrets: ["enc:v1:radius-secret"], message-authenticator: auto}
"""

KEA = """\
site: perth1
role: dhcp
platform: kea
manage: full
sections: [subscriber]
management: {address: 10.255.78.12, login: net-ssh, host-key: "PIN"}
options: {lease: 10, garden-lease: 6}
"""

OLT = """\
site: perth1
role: olt
platform: virtual
olt: {edge: perth-west, circuit-id: "{device}-{onu}", pons: {0/1/0: {svlan: 101, cvlans: 1000-1999}}}
"""

EDGE = """\
bngs: [{device: bng1, port: eth1}]
methods: [ipoe]
dhcp: [kea1]
dns: [198.51.100.53, "2001:db8::53"]
pools: {cgnat: perth-cgn, public: perth-public, garden: perth-garden}
garden: {page: 198.51.100.90, url: "https://my.example.net/pay"}
"""

DOCUMENTS = {
    "network/sites/perth1.yaml": "name: Perth 1\ntimezone: Australia/Perth\n",
    "network/devices/bng1.yaml": BNG,
    "network/devices/kea1.yaml": KEA,
    "network/devices/olt7.yaml": OLT,
    "network/edges/perth-west.yaml": EDGE,
    "network/pools/perth-cgn.yaml": "family: ipv4\nuse: cgnat\nsplit: {bng1: [100.64.0.0/24]}\n",
    "network/pools/perth-garden.yaml": "family: ipv4\nuse: garden\nsplit: {bng1: [100.127.0.0/24]}\n",
    "network/pools/perth-public.yaml": (
        "family: ipv4\nuse: public\nallocate: intent\ngateway: 203.0.113.1\nprefixes: [203.0.113.0/28]\n"
    ),
    "catalog/plans/fibre-20.yaml": """\
type: internet
rate: {down: 20M, up: 5M}
prices: [{id: 2025b, from: 2025-07-01, amount: "49.00", every: month, tax: gst}]
""",
}
LINE = "type: gpon\nstate: active\nolt: olt7\npon: 0/1/0\nonu: ID\nserial: HWTC1A2B3C0ID\n"
SERVICE = """\
customer: C-ID
type: internet
state: active
plan: fibre-20
line: L-ID
session: SESSION
ipv4: ADDRESS
"""
SESSIONS = {
    1: ("{method: ipoe}", "{mode: cgnat}"),
    2: ("{method: ipoe}", "{mode: fixed, address: 203.0.113.7}"),
    3: ('{method: ipoe, mac: "02:00:5E:10:00:03", bind: [mac]}', "{mode: cgnat}"),
    4: ('{method: ipoe, circuit-id: "hex:0004ff"}', "{mode: cgnat}"),
}
GARDEN = "effect: walled-garden\nsince: 2025-11-20T02:00:00Z\ncause: INV-1\n"
BLOCK = "effect: block\nsince: 2025-11-20T02:00:00Z\ncause: abuse-1\n"


def documents(**replaced: tuple[str, str]) -> dict[str, str]:
    """{path: YAML} after replacing (old, new) in the documents bng, kea, edge, cgn or config."""
    found = {"trunkline.yaml": CONFIG.replace("KEY", "enc:v1:key")} | DOCUMENTS
    paths = {
        "bng": "network/devices/bng1.yaml",
        "kea": "network/devices/kea1.yaml",
        "edge": "network/edges/perth-west.yaml",
        "cgn": "network/pools/perth-cgn.yaml",
        "config": "trunkline.yaml",
    }
    for name, (old, new) in replaced.items():
        assert old in found[paths[name]]
        found[paths[name]] = found[paths[name]].replace(old, new)
    for number, (session, address) in SESSIONS.items():
        found[path_of("line", f"L-{number}")] = LINE.replace("ID", str(number))
        service = SERVICE.replace("SESSION", session).replace("ADDRESS", address)
        found[path_of("service", f"S-{number}")] = service.replace("ID", str(number))
    return found


def hold(service: str, reason: str = "nonpayment") -> str:
    """The path of a hold."""
    return path_of("hold", f"{service}.{reason}")


def reader(found: dict[str, str] | None = None) -> MemoryReader:
    """The network as a renderer reads it."""
    loaded = []
    for path, text in (found or documents()).items():
        document = load(path, text.encode())
        assert isinstance(document, Document), document
        loaded.append(document)
    return MemoryReader(loaded)


class Opened:
    """Opens `enc:v1:NAME` to NAME."""

    def open(self, sealed: str, path: str, key: str) -> str:
        return sealed.removeprefix("enc:v1:")
