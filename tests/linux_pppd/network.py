"""A small network as an operator writes it: one pppd BNG, one OLT, two subscribers; and holds on demand."""

from intents.kinds import path_of
from intents.loader import Document, load
from intents.reader import MemoryReader

BNG_ADDRESS, CONTROL = "10.255.77.11", "10.255.77.1"

CONFIG = """\
schema: 1
operator: {name: Example ISP, asn: 64500, timezone: Australia/Perth, currency: AUD}
aaa: {servers: [{address: 10.255.77.1, auth-port: AUTH, acct-port: ACCT}]}
"""

BNG = """\
site: perth1
role: bng
platform: linux_pppd
manage: full
sections: [subscriber]
management: {address: 10.255.77.11, login: root}
bng: {gateway: 100.64.0.1, sessions: 30, ac-name: bng1}
nas:
  {vendor: pppd, sources: [10.255.77.11], secrets: ["enc:v1:radius-secret"], message-authenticator: auto, interim: 60}
options: {garden-contact: "Call 1800 555 010, every day from 7 to 22."}
"""

EDGE = """\
bngs: [{device: bng1, port: eth1}]
methods: [pppoe]
pools: {cgnat: perth-cgn, garden: perth-garden, wan6: perth-wan6, pd: perth-pd}
dns: ["2001:db8::53"]
garden: {url: "https://my.example.net/pay", allow: [198.51.100.90/32]}
"""

OLT = """\
site: perth1
role: olt
platform: virtual
olt: {edge: perth-west, circuit-id: "{device} xpon {pon}:{onu}.{port}", pons: {0/1/0: {svlan: 101, cvlans: 1000-1999}}}
"""

DOCUMENTS = {
    "network/sites/perth1.yaml": "name: Perth 1\ntimezone: Australia/Perth\n",
    "network/devices/bng1.yaml": BNG,
    "network/devices/olt7.yaml": OLT,
    "network/edges/perth-west.yaml": EDGE,
    "network/pools/perth-cgn.yaml": "family: ipv4\nuse: cgnat\nsplit: {bng1: [100.64.0.0/24]}\n",
    "network/pools/perth-garden.yaml": "family: ipv4\nuse: garden\nsplit: {bng1: [100.127.0.0/24]}\n",
    "network/pools/perth-wan6.yaml": 'family: wan6\nuse: public\nsplit: {bng1: ["2001:db8:3000::/48"]}\nlength: 64\n',
    "network/pools/perth-pd.yaml": (
        'family: pd\nuse: public\nallocate: intent\nprefixes: ["2001:db8:4000::/40"]\nlength: 56\n'
    ),
    "catalog/plans/fibre-20.yaml": """\
type: internet
rate: {down: 20M, up: 5M}
prices: [{id: 2025b, from: 2025-07-01, amount: "49.00", every: month, tax: gst}]
""",
}

LINE = "type: gpon\nstate: active\nolt: olt7\npon: 0/1/0\nonu: ONU\nserial: HWTC1A2B3C0ONU\n"
SERVICE = """\
customer: C-ID
type: internet
state: active
plan: fibre-20
line: L-ID
session: {method: pppoe, login: sID@example.net, password: "enc:v1:password-ID"}
ipv4: ADDRESS
ipv6: {wan: slaac, pd: "2001:db8:4001:1ID00::/56"}
"""
HOLD = "effect: walled-garden\nsince: 2025-11-20T02:00:00Z\ncause: INV-1\n"

FIXED = "{mode: fixed, address: 203.0.113.77}"


def documents(
    auth_port: int = 1812, acct_port: int = 1813, held: frozenset[str] = frozenset(), **changed: str
) -> dict[str, str]:
    """{path: YAML}. S-1 has an address from the BNG's pool, S-2 a fixed one; `held` services are in the garden.

    `changed` replaces words of the BNG's document: `bng={"old": "new"}` is written old="new".
    """
    found = dict(DOCUMENTS)
    found["trunkline.yaml"] = CONFIG.replace("AUTH", str(auth_port)).replace("ACCT", str(acct_port))
    for old, new in changed.items():
        assert old in found["network/devices/bng1.yaml"]
        found["network/devices/bng1.yaml"] = found["network/devices/bng1.yaml"].replace(old, new)
    for number, address in (("1", "{mode: cgnat}"), ("2", FIXED)):
        found[path_of("line", f"L-{number}")] = LINE.replace("ONU", number)
        found[path_of("service", f"S-{number}")] = SERVICE.replace("ADDRESS", address).replace("ID", number)
    for service in held:
        found[path_of("hold", f"{service}.nonpayment")] = HOLD
    return found


def reader(found: dict[str, str] | None = None) -> MemoryReader:
    """The network as a renderer and RADIUS read it."""
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
