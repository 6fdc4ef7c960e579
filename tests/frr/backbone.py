"""A real backbone's shape as intents: AARNet in 2010, 19 routers and 24 links, two of them route reflectors.

The links are those of the Internet Topology Zoo (Knight et al., IEEE JSAC 29(9), 2011; CC BY 4.0).
"""

from intents.loader import Document, load
from intents.reader import MemoryReader
from tests.frr.network import CONFIG

LINKS = (
    (0, 10), (0, 3), (0, 6), (1, 3), (1, 6), (2, 10), (2, 15), (3, 8), (3, 16), (4, 5), (4, 7), (6, 7), (9, 16),
    (9, 15), (11, 12), (11, 13), (12, 14), (13, 18), (13, 14), (13, 15), (14, 16), (14, 17), (15, 16), (17, 18),
)  # fmt: skip
REFLECTORS = (3, 15)
SIZE = 19
BGP_ENDS = (2 * 17 * 2 + 2) * 2
"""17 clients of two reflectors, and the reflectors' own session, in two families, counted at both ends."""

DEVICE = """\
site: perth1
role: router
platform: frr
manage: full
management: {{address: 10.255.0.{n}}}
loopback: {{v4: 198.51.100.{n}/32, v6: "2001:db8:ffff::{n}/128"}}
routing:
  ospf: {{area: 0.0.0.0, hello: 1, dead: 10}}
  ibgp: {ibgp}
"""

LINK = """\
type: routed
ends:
  - {{device: r{a}, port: to-r{b}, v4: 192.0.2.{low}/31, v6: "2001:db8:fe::{low}/127"}}
  - {{device: r{b}, port: to-r{a}, v4: 192.0.2.{high}/31, v6: "2001:db8:fe::{high}/127"}}
metric: {{ospf: 10}}
"""


def reader() -> MemoryReader:
    """The backbone, routers r1 to r19."""
    texts = {"trunkline.yaml": CONFIG}
    for node in range(SIZE):
        texts[f"network/devices/r{node + 1}.yaml"] = DEVICE.format(n=node + 1, ibgp=_ibgp(node))
    for number, (a, b) in enumerate(LINKS):
        ends = {"a": a + 1, "b": b + 1, "low": 2 * number, "high": 2 * number + 1}
        texts[f"network/links/r{a + 1}--r{b + 1}.yaml"] = LINK.format(**ends)
    found = [load(path, text.encode()) for path, text in texts.items()]
    return MemoryReader([document for document in found if isinstance(document, Document)])


def _ibgp(node: int) -> str:
    others = ", ".join(f"r{reflector + 1}" for reflector in REFLECTORS if reflector != node)
    return f"{{reflector: true, mesh: [{others}]}}" if node in REFLECTORS else f"{{rr: [{others}]}}"
