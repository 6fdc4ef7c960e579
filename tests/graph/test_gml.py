"""GML as it is found: what is read, what is mended, and what is refused with its line."""

import pytest

from inventory.graph.raw import GraphNotReadable
from inventory.graph.read import parse
from tests.graph.repositories import codes, loaded, mended, problems

DIRTY = """\
# a comment
Creator "somebody"
graph [
  directed 0
  label "Dirty"
  node [ id 0 label "Praha" Latitude "50.08804" Longitude "14.42076" ]
  node [ id 1 label "Praha" Latitude 49.2 Longitude 16.6 ]
  node [ id 1 label "&#268;esk&#225; T&#345;ebov&aacute;" Latitude 49.9 Longitude 16.4 ]
  node [ id 3 ]
  node [ id 4 label "?" Latitude 512 Longitude 16.4 ]
  node [ id 5 label "GEANT" Internal 0 ]
  node [ label "No id" Latitude 1 Longitude 2 ]
  node [ id 7 label "Плзень" Latitude 49.7 Longitude 13.4 ]
  node [ id 8 label Island Latitude 10 Longitude 20 graphics [ x 1.0 y 2.0 ] ]
  edge [ source 0 target 1 LinkLabel "< 10 Gbps" ]
  edge [ source 1 target 0 ]
  edge [ source 0 target 0 ]
  edge [ source 0 target 3 LinkSpeed "100" LinkSpeedUnits "M" ]
  edge [ source 3 target 4 ]
  edge [ source 4 target "5" ]
  edge [ source 0 ]
  edge [ source 7 target 99 ]
]
"""


def test_no_node_is_lost_and_everything_mended_is_told_with_its_line():
    """Duplicate and missing labels and ids, places, self loops, parallel edges, parts, external nodes."""
    graph = mended(DIRTY)
    assert [node.id for node in graph.nodes] == [
        "praha", "praha-2", "ceska-trebova", "node-3", "node-4", "geant", "no-id", "node-7", "island", "node-99",
    ]  # fmt: skip
    assert codes(graph) == [
        ("parallel", 6), ("label-twice", 7), ("id-twice", 8), ("parts", 8), ("coordinates", 9), ("label-missing", 9),
        ("coordinates", 10), ("label-missing", 10), ("coordinates", 11), ("external", 11), ("id-missing", 12),
        ("parts", 12), ("label-script", 13), ("parts", 13), ("parts", 14), ("self-loop", 17), ("edge-end", 21),
        ("coordinates", 22), ("label-missing", 22), ("node-missing", 22),
    ]  # fmt: skip
    assert len(graph.edges) == 6


def test_a_dirty_graph_gives_a_repository_without_a_problem():
    """The intents of the mended graph pass every check, and every node is a site and a device."""
    graph = mended(DIRTY)
    reader = loaded(graph)
    assert problems(reader) == []
    assert reader.ids("device") == reader.ids("site") == sorted(node.id for node in graph.nodes)


def test_a_missing_place_lies_amid_the_neighbours():
    """node-3 hangs on Praha alone; node-4 then on node-3; GEANT on node-4."""
    places = {node.id: (node.lat, node.lon) for node in mended(DIRTY).nodes}
    assert places["node-3"] == places["node-4"] == places["geant"] == pytest.approx((50.08804, 14.42076))


def test_names_keep_their_letters_and_ids_are_plain():
    """HTML entities are opened; the id is Latin; a script without Latin form keeps its name."""
    names = {node.id: node.name for node in mended(DIRTY).nodes}
    assert (names["ceska-trebova"], names["node-7"], names["praha-2"]) == (
        "Česká Třebová",
        "Плзень",
        "Praha 2",
    )


def test_an_external_node_is_a_planned_device_with_planned_handoffs():
    """Another operator's router is kept, never configured, and no OSPF goes there."""
    reader = loaded(mended(DIRTY))
    device, link = reader.get("device", "geant"), reader.get("link", "node-4--geant")
    assert (device.state, device.manage, device.routing) == ("planned", "observe", None)
    assert (link.type, link.state, link.partner) == ("handoff", "planned", "geant")


def test_an_edge_back_in_a_directed_graph_is_the_same_link():
    """In a directed graph two nodes with an edge each way have one cable."""
    graph = mended(
        "graph [ directed 1 node [ id 1 label a ] node [ id 2 label b ]\n"
        "edge [ source 1 target 2 ]\nedge [ source 2 target 1 ]\nedge [ source 1 target 2 ] ]"
    )
    assert len(graph.edges) == 2
    assert ("edge-back", 3) in codes(graph)


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ('graph [\n node [ id 1 label "x ]\n]\n', 2, "a text in quotes begins here and never ends"),
        ("graph [\n node [ id 1\n", 2, "`node [` begins here and never ends"),
        ("graph [ node [ id 1 ] ]\n]\n", 2, "a `]` without its `[`"),
        ("graph [\n node [\n id\n ] ]", 3, "`id` has no value"),
        ("graph [\n 5 6 ]", 2, "expected a key such as `node`, found 5"),
        ("hello world\n", 1, "there is no `graph [ … ]` in this file"),
        ("graph [ ]", 0, "there is no node in this graph"),
        ("graph [\n" + "a [ " * 40, 2, "nested more than 32 levels deep"),
        ("a\0b", 1, "a NUL byte: this is no text file (or it is UTF-16; save it as UTF-8)"),
        ("", 1, "there is no `graph [ … ]` in this file"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_line(text: str, line: int, why: str):
    """What cannot be read is refused; nothing is guessed."""
    with pytest.raises(GraphNotReadable) as caught:
        parse(text.encode(), "x.gml")
    assert (caught.value.line, caught.value.why) == (line, why)


def test_letters_that_are_not_utf8_are_read_as_latin1_and_told():
    """Old files have Latin-1 names."""
    graph = parse('graph [\n node [ id 1 label "Zürich" ] ]'.encode("latin-1"), "x.gml")
    assert graph.nodes[0].attributes["label"] == "Zürich"
    assert [(one.code, one.line) for one in graph.notes] == [("graph.encoding", 2)]


@pytest.mark.parametrize(
    ("attributes", "rate"),
    [
        ('LinkLabel "< 10 Gbps"', 10**10),
        ('LinkLabel "1-2.5 Gb/s"', 2_500_000_000),
        ('LinkLabel "155 Mbps"', 155_000_000),
        ('LinkLabel "10GE"', 10**10),
        ('LinkLabel "OC-192c"', 9_953_280_000),
        ('LinkLabel "STM-16"', 2_488_320_000),
        ('LinkType "E3"', 34_368_000),
        ('LinkSpeed "2.5" LinkSpeedUnits "G"', 2_500_000_000),
        ("LinkSpeedRaw 1e8", 10**8),
        ('LinkLabel "DWDM"', None),
        ('LinkLabel "80 km"', None),
        ("LinkSpeedRaw -1", None),
        ("LinkSpeedRaw 1e99", None),
    ],
)
def test_a_link_has_the_capacity_that_its_label_says(attributes: str, rate: int | None):
    """Units as people write them; the upper end of a range; nothing when nothing is said."""
    text = f"graph [ node [ id 1 ] node [ id 2 ] edge [ source 1 target 2 {attributes} ] ]"
    assert mended(text).edges[0].capacity == rate
