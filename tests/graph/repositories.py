"""A planned network loaded as the indexer would load it."""

from pathlib import Path

from cli.scaffold.plan import Given, Written, first_config, from_graph
from intents import checks
from intents.dump import to_yaml
from intents.kinds import path_of
from intents.loader import Document, load
from intents.reader import MemoryReader
from inventory.graph.graph import Graph
from inventory.graph.mend import mend
from inventory.graph.plan import plan_network
from inventory.graph.read import parse


def mended(text: str) -> Graph:
    """The mended graph of a file's text, which is called x.gml."""
    return mend(parse(text.encode(), "x.gml"))


def codes(graph: Graph) -> list[tuple[str, int]]:
    """(code, line) of everything that was mended."""
    return [(note.code.removeprefix("graph."), note.line) for note in graph.notes]


def loaded(graph: Graph) -> MemoryReader:
    """Every document of the planned network, through files; a bad one fails the test."""
    documents = dict(plan_network(graph))
    documents["config", "trunkline"] = first_config(Given(), graph.name)
    found = [load(path_of(*key), to_yaml(key[0], value)) for key, value in documents.items()]
    good = [document for document in found if isinstance(document, Document)]
    assert len(good) == len(found), [problems for problems in found if isinstance(problems, list)]
    return MemoryReader(good)


def problems(reader: MemoryReader) -> list[str]:
    """What the checks between files find."""
    return [str(problem) for problem in checks.run(reader)]


def written(tmp_path: Path, text: str) -> Written:
    """What `init` would write for a graph."""
    path = tmp_path / "x.gml"
    path.write_text(text, encoding="utf-8")
    return from_graph(path, "frr", Given())
