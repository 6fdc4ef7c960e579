"""The example network as documents and as files."""

from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from cli.example import catalog
from cli.example.access import access
from cli.example.options import UNUSABLE, ExampleOptions
from cli.example.subscribers import subscribers
from cli.scaffold.readme import readme
from cli.scaffold.repository import repository_files
from intents.device.schema import Device
from inventory.graph.graph import Graph
from inventory.graph.mend import mend
from inventory.graph.plan import Documents, PlanOptions, plan_network
from inventory.graph.read import parse

GRAPH_FILE = Path(__file__).parent / "aarnet.gml"
_ZONES = {
    "perth": "Australia/Perth", "adelaide": "Australia/Adelaide", "darwin": "Australia/Darwin",
    "alice": "Australia/Darwin", "brisbane": "Australia/Brisbane", "townsvil": "Australia/Brisbane",
    "cairns": "Australia/Brisbane", "rockhamp": "Australia/Brisbane", "hobart": "Australia/Hobart",
    "melbourn": "Australia/Melbourne",
}  # fmt: skip
_MORE = """
## Where it comes from

The backbone is AARNet's of August 2010 ([docs/aarnet.gml](docs/aarnet.gml)): The Internet Topology Zoo, Knight et al.,
IEEE JSAC 29(9), 2011, licence CC BY 4.0. The ISP on top is made up: two BNGs, OLTs and APs around Perth, {services}
lines and services. Addresses of subscribers are 203.0.113.0/24 (RFC 5737), 2001:db8::/32 (RFC 3849) and 100.64.0.0/10
(RFC 6598). A secret that reads `{unusable}` opens with no key.
"""


@cache
def backbone() -> Graph:
    """AARNet's graph, mended (there is nothing to mend)."""
    return mend(parse(GRAPH_FILE.read_bytes(), GRAPH_FILE.name))


def example_documents(options: ExampleOptions = ExampleOptions()) -> Documents:  # noqa: B008 - it is frozen
    """Every document by (kind, id)."""
    graph = backbone()
    routers = PlanOptions(
        platform=options.router_platform, manage="full", hello=options.hello, dead=options.dead
    )
    found = {key: _ours(key, value) for key, value in plan_network(graph, routers).items()}
    reflectors = tuple(
        name
        for (kind, name), value in found.items()
        if kind == "device" and value.routing.ibgp.reflector  # every router of this graph has iBGP
    )
    found = _numbered(found, options)
    found["config", "trunkline"] = catalog.config(options)
    found |= {("plan", name): plan for name, plan in catalog.plans().items()}
    found |= dict(access(options, len(graph.nodes), len(graph.edges), reflectors))
    found |= dict(subscribers(options))
    adjusted = {key: options.adjust(*key, value) for key, value in found.items()}
    return {key: value for key, value in adjusted.items() if value is not None}


def _ours(key: tuple[str, str], value: Any) -> Any:
    """Sites get the time zone of their state."""
    if key[0] != "site":
        return value
    zone = next((zone for name, zone in _ZONES.items() if key[1].startswith(name)), "Australia/Sydney")
    return msgspec.structs.replace(value, timezone=zone)


def _numbered(found: Documents, options: ExampleOptions) -> Documents:
    """Routers get the management address that the options say, numbered from 1."""
    names = [name for kind, name in found if kind == "device"]
    for number, name in enumerate(names, 1):
        router: Device = found["device", name]
        reached = options.management(name, number)
        found["device", name] = msgspec.structs.replace(router, management=reached)
    return found


def example_files(options: ExampleOptions = ExampleOptions()) -> dict[str, bytes]:  # noqa: B008 - it is frozen
    """The whole repository by path, ready for `intents.init.init_repository`. Pure but for `options.seal`."""
    more = _MORE.format(services=options.services, unusable=UNUSABLE)
    files = repository_files(example_documents(options), readme("The example network", "Example ISP", more))
    return files | {"docs/aarnet.gml": GRAPH_FILE.read_bytes()}
