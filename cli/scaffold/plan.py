"""What `trunkline init` writes, decided before anything is written."""

from pathlib import Path
from typing import Any

import msgspec

from cli.example.network import example_files
from cli.example.options import ExampleOptions
from cli.scaffold.readme import readme
from cli.scaffold.repository import repository_files
from core.errors import Terminal
from core.problems import Problem
from intents.config.schema import Config, Guards, Limit, Operator
from intents.loader import load
from inventory.graph.graph import Graph
from inventory.graph.mend import mend
from inventory.graph.plan import PlanOptions, plan_network
from inventory.graph.read import read

SMALL = 30
"""Subscribers of the example that is written without a graph."""


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says of the operator; None is left as it is."""

    name: str | None = None
    asn: int | None = None
    timezone: str | None = None
    currency: str | None = None

    def over(self, operator: Operator) -> Operator:
        """The operator with what was said."""
        said = {key: value for key, value in msgspec.structs.asdict(self).items() if value is not None}
        return msgspec.structs.replace(operator, **said)


class SettingNotUsable(Terminal):
    """An option gives trunkline.yaml a value that cannot stand there."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{problem.message}" for problem in problems))


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """Files by path, what was mended, and in which words to tell."""

    files: dict[str, bytes]
    notes: tuple[Problem, ...]
    what: str


def from_graph(path: Path, platform: str, given: Given) -> Written:
    """A repository of the network in a graph file. Raises GraphNotReadable, SettingNotUsable."""
    graph = mend(read(path))
    documents = dict(plan_network(graph, PlanOptions(platform=platform)))
    config = first_config(given, graph.name)
    documents["config", "trunkline"] = config
    files = repository_files(documents, readme(graph.name or config.operator.name, config.operator.name))
    return Written(files=_checked(files), notes=graph.notes, what=_counts(graph))


def example(platform: str, given: Given) -> Written:
    """The built-in example: AARNet's backbone with a few subscribers. Raises SettingNotUsable."""

    def adjust(kind: str, _id: str, value: Any) -> Any:
        if kind != "config":
            return value
        return msgspec.structs.replace(value, operator=given.over(value.operator))

    files = example_files(ExampleOptions(router_platform=platform, services=SMALL, adjust=adjust))
    what = f"the example network with {SMALL} lines and services"
    return Written(files=_checked(files), notes=(), what=what)


def _checked(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files, when the options made a trunkline.yaml that loads."""
    loaded = load("trunkline.yaml", files["trunkline.yaml"])
    if isinstance(loaded, list):
        raise SettingNotUsable(loaded)
    return files


def first_config(given: Given, title: str) -> Config:
    """Settings of an operator who has no subscribers yet; guards are on from the first day."""
    operator = Operator(name=title or "Example ISP", asn=64500, timezone="UTC", currency="EUR")
    return Config(
        schema=1,
        operator=given.over(operator),
        guards=Guards(
            restrict=Limit(percent=1, count=200), devices=Limit(percent=10), deletes=Limit(count=50)
        ),
    )


def _counts(graph: Graph) -> str:
    outside = sum(not node.internal for node in graph.nodes)
    told = f"{len(graph.nodes)} sites and routers, {len(graph.edges)} links"
    return f"{told}; {outside} of the routers are other operators'" if outside else told
