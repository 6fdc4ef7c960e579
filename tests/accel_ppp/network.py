"""A small network as an operator writes it: one accel-ppp BNG with PPPoE and IPoE, two edges, IPv6, a garden."""

from intents.loader import Document, load
from intents.reader import MemoryReader

CONFIG = """\
schema: 1
operator: {name: Example ISP, asn: 64500, timezone: Australia/Perth, currency: AUD}
aaa:
  servers:
    - {address: 10.255.0.1, auth-port: 1812, acct-port: 1813}
    - {address: 10.255.0.2, auth-port: 1812, acct-port: 1813}
"""

BNG = """\
site: perth1
role: bng
platform: accel_ppp
manage: full
management: {address: 10.255.77.12, login: root}
bng: {gateway: 100.64.0.1, sessions: 4000, ac-name: bng1, mtu: 1492}
nas:
  vendor: accel-ppp
  sources: [10.255.77.12]
  secrets: ["enc:v1:radius-secret"]
  coa: {port: 3799, rate: 50}
  interim: 300
"""

WEST = """\
bngs: [{device: bng1, port: eth1}]
methods: [pppoe]
svlans: [100-102, 200]
pools: {cgnat: west-cgn, public: west-public, garden: west-garden, pd: west-pd, wan6: west-wan6}
dns: [198.51.100.53, 198.51.100.54, "2001:db8::53"]
garden: {page: 198.51.100.80, url: "https://my.example.net/pay", allow: [198.51.100.90/32]}
"""

EAST = """\
bngs: [{device: bng1, port: eth2}]
methods: [ipoe]
svlans: 300-301
pools: {cgnat: east-cgn, garden: west-garden}
dns: [198.51.100.53]
"""

DOCUMENTS = {
    "trunkline.yaml": CONFIG,
    "network/sites/perth1.yaml": "name: Perth 1\ntimezone: Australia/Perth\n",
    "network/devices/bng1.yaml": BNG,
    "network/edges/west.yaml": WEST,
    "network/edges/east.yaml": EAST,
    "network/pools/west-cgn.yaml": (
        "family: ipv4\nuse: cgnat\nnat: {public: [203.0.113.128/25]}\nsplit: {bng1: [100.64.0.0/23]}\n"
    ),
    "network/pools/east-cgn.yaml": "family: ipv4\nuse: cgnat\nsplit: {bng1: [100.65.0.0/24]}\n",
    "network/pools/west-public.yaml": "family: ipv4\nuse: public\nsplit: {bng1: [203.0.113.0/26]}\n",
    "network/pools/west-garden.yaml": "family: ipv4\nuse: garden\nsplit: {bng1: [100.127.0.0/24]}\n",
    "network/pools/west-pd.yaml": "family: pd\nuse: public\nlength: 56\nsplit: {bng1: [2001:db8:4000::/40]}\n",
    "network/pools/west-wan6.yaml": (
        "family: wan6\nuse: public\nlength: 64\nsplit: {bng1: [2001:db8:5000::/48]}\n"
    ),
}


def documents(**replaced: tuple[str, str]) -> dict[str, str]:
    """{path: YAML} after replacing (old, new) in the documents bng1, west, east, west_cgn … or trunkline."""
    found = dict(DOCUMENTS)
    names = {path.rpartition("/")[2].removesuffix(".yaml").replace("-", "_"): path for path in found}
    for name, (old, new) in replaced.items():
        assert old in found[names[name]], (name, old)
        found[names[name]] = found[names[name]].replace(old, new)
    return found


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
