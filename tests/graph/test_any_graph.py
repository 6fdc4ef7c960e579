"""Every graph gives a valid repository that keeps every node; the same graph always gives the same one."""

import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.graph.mend import mend
from inventory.graph.plan import plan_network
from inventory.graph.raw import GraphNotReadable
from inventory.graph.read import parse
from inventory.graph.reflectors import LARGEST_MESH
from tests.graph.repositories import loaded, mended, problems

_TEXT = st.text(max_size=30).map(lambda text: text.replace('"', "").replace("\0", ""))
_LABEL = st.one_of(st.sampled_from(["Perth", "perth", "Perth 2", "?", "", "a--b", "&#268;&shy;"]), _TEXT)
_DEGREE = st.one_of(st.floats(-200, 200), st.sampled_from(["nan", "x", "12,5"]), st.none())
_NODE = st.tuples(
    st.one_of(st.integers(0, 12), st.none()),
    st.one_of(_LABEL, st.none()),
    _DEGREE,
    _DEGREE,
    st.sampled_from([0, 1, 1, 1]),
)
_SPEED = st.sampled_from(["", "10 Gbps", "OC-3", "64 kbit/s", "999999999 T"])
_EDGE = st.tuples(st.integers(0, 14), st.integers(0, 14), _SPEED)


def gml(nodes: list[Any], edges: list[Any], directed: int) -> str:
    """A GML file with these nodes and edges."""
    lines = ["graph [", f"directed {directed}"]
    for key, label, lat, lon, internal in nodes:
        fields = {"id": key, "label": label, "Latitude": lat, "Longitude": lon, "Internal": internal}
        given = [f'{name} "{value}"' for name, value in fields.items() if value is not None]
        lines.append(f"node [ {' '.join(given)} ]")
    lines += [f'edge [ source {a} target {b} LinkLabel "{speed}" ]' for a, b, speed in edges]
    return "\n".join([*lines, "]"])


@settings(max_examples=150)
@given(st.lists(_NODE, min_size=1, max_size=25), st.lists(_EDGE, max_size=40), st.integers(0, 1))
def test_every_graph_gives_a_valid_repository_that_keeps_every_node(
    nodes: list[Any], edges: list[Any], directed: int
):
    """Whatever the labels, ids, places, loops and parts: no problem, and a site and a device for each node."""
    graph = mended(gml(nodes, edges, directed))
    reader = loaded(graph)
    assert problems(reader) == []
    assert len(graph.nodes) >= len(nodes)
    assert reader.ids("site") == reader.ids("device") == sorted(node.id for node in graph.nodes)
    assert len(reader.ids("link")) == len(graph.edges)


@given(st.lists(_NODE, min_size=1, max_size=8), st.lists(_EDGE, max_size=10))
def test_the_same_graph_always_gives_the_same_network(nodes: list[Any], edges: list[Any]):
    """Addresses, ports, ids and reflectors follow from the graph alone."""
    text = gml(nodes, edges, 0)
    assert plan_network(mended(text)) == plan_network(mended(text))


def test_a_thousand_routers_have_addresses_of_their_own():
    """A ring of 1,000 with chords: unique loopbacks, unique link networks, two reflectors, no problem."""
    size = 1000
    nodes = [(n, f"City {n}", n % 80, n % 170, 1) for n in range(size)]
    edges = [(n, (n + 1) % size, "") for n in range(size)] + [
        (n, n * 7 % size, "") for n in range(1, size, 3)
    ]
    reader = loaded(mended(gml(nodes, edges, 0)))
    devices = dict(reader.all("device"))
    assert problems(reader) == []
    assert len({device.loopback.v4 for device in devices.values()}) == size
    reflectors = [name for name, device in devices.items() if device.routing.ibgp.reflector]
    assert len(reflectors) == 2
    assert all(
        set(device.routing.ibgp.rr) == set(reflectors) for n, device in devices.items() if n not in reflectors
    )


def test_a_small_network_is_a_full_mesh():
    """Up to eight routers each names all others; the ninth brings reflectors at two places."""
    ring = [(n, (n + 1) % LARGEST_MESH, "") for n in range(LARGEST_MESH)]
    nodes = [(n, f"R{n}", 1.0, float(n // 2), 1) for n in range(LARGEST_MESH)]
    mesh = dict(loaded(mended(gml(nodes, ring, 0))).all("device"))
    assert {len(device.routing.ibgp.mesh) for device in mesh.values()} == {LARGEST_MESH - 1}
    more = dict(loaded(mended(gml([*nodes, (8, "R8", 3.0, 3.0, 1)], [*ring, (0, 8, "")], 0))).all("device"))
    reflectors = [name for name, device in more.items() if device.routing.ibgp.reflector]
    assert reflectors == ["r0", "r2"], json.dumps(reflectors)


_GML = [
    "graph [",
    "node [",
    "edge [",
    "]",
    "id 1",
    "id",
    "label",
    '"x"',
    '"',
    "source 1",
    "target 2",
    "#",
    "\n",
]
_XML = [
    "<graphml>",
    "<graph>",
    "<node id='1'/>",
    "<edge source='1' target='2'/>",
    "</graph></graphml>",
    "&lt;",
]
_WORDS = st.sampled_from([*_GML, *_XML, "1e999", "&#0;", "<data key='k'>"])


@settings(max_examples=300)
@given(
    st.one_of(st.binary(max_size=60), st.lists(_WORDS, max_size=14).map(lambda some: " ".join(some).encode()))
)
def test_any_bytes_are_a_graph_or_one_sentence(raw: bytes):
    """No file makes anything but a graph or GraphNotReadable; what is read can be planned."""
    sentence = ""
    try:
        graph = mend(parse(raw, "x"))
    except GraphNotReadable as error:
        sentence = str(error)
    if sentence:
        assert re.fullmatch(r"x:([0-9]+:)? [^\n]+", sentence)
    else:
        assert problems(loaded(graph)) == []
