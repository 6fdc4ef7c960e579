"""GraphML: keys, defaults and labels are read; entities and DTDs never are."""

import pytest

from inventory.graph.mend import mend
from inventory.graph.raw import GraphNotReadable
from inventory.graph.read import parse
from tests.graph.repositories import loaded, problems

GRAPH = """\
<?xml version="1.0" encoding="utf-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns" xmlns:y="http://www.yworks.com/xml/graphml">
  <key attr.name="Latitude" attr.type="double" for="node" id="d0"/>
  <key attr.name="Longitude" attr.type="double" for="node" id="d1"/>
  <key attr.name="label" attr.type="string" for="node" id="d2"/>
  <key attr.name="Internal" attr.type="int" for="node" id="d3"><default>1</default></key>
  <key attr.name="LinkLabel" attr.type="string" for="edge" id="d4"/>
  <key attr.name="Network" for="graph" id="d5"/>
  <key for="node" id="d6" yfiles.type="nodegraphics"/>
  <graph edgedefault="undirected">
    <data key="d5">Ring</data>
    <node id="n0"><data key="d0">1.5</data><data key="d1">2.5</data><data key="d2">A &amp; B</data></node>
    <node id="n1"><data key="d2">&#268;esko</data><data key="d3">0</data></node>
    <node id="n2"><data key="d6"><y:ShapeNode><y:NodeLabel>Yed</y:NodeLabel></y:ShapeNode></data></node>
    <edge source="n0" target="n1"><data key="d4">10 Gbps</data></edge>
    <edge source="n0" target="n2"/>
    <hyperedge><endpoint node="n0"/></hyperedge>
  </graph>
</graphml>
"""


def test_a_graph_is_read_with_its_keys_and_defaults():
    """Names of keys, defaults, entities of XML, yEd's labels, what was left out."""
    graph = mend(parse(GRAPH.encode(), "x.graphml"))
    assert graph.name == "Ring"
    assert [(node.id, node.name, node.internal) for node in graph.nodes] == [
        ("a-b", "A & B", True), ("cesko", "Česko", False), ("yed", "Yed", True),
    ]  # fmt: skip
    assert [edge.capacity for edge in graph.edges] == [10**10, None]
    assert "graph.hyperedge" in [note.code for note in graph.notes]
    assert problems(loaded(graph)) == []


def test_a_doctype_that_only_names_a_dtd_is_never_loaded():
    """Old files name the DTD of GraphML; nothing is fetched."""
    head = '<!DOCTYPE graphml SYSTEM "http://graphml.graphdrawing.org/dtds/1.0rc/graphml.dtd">\n<graphml'
    assert len(parse(GRAPH.replace("<graphml", head, 1).encode(), "x").nodes) == 3


BOMB = (
    '<?xml version="1.0"?>\n<!DOCTYPE g [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>\n<graphml>&b;</graphml>'
)


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        (BOMB, 2, "a DTD inside the file"),
        (
            BOMB.replace('<!ENTITY a "aaaa">', '<!ENTITY a SYSTEM "file:///etc/passwd">'),
            2,
            "a DTD inside the file",
        ),
        ('<!DOCTYPE g SYSTEM "x.dtd">\n<graphml><graph>\n<data>&bad;</data></graph></graphml>', 3, "entit"),
        ("<graphml>\n<graph>\n<node></graph></graphml>", 3, "no XML: mismatched tag"),
        ("<html>\n</html>", 1, "this XML has no GraphML nodes"),
        ("<a>" * 40, 1, "nested more than 32 levels deep"),
    ],
)
def test_what_is_not_safe_or_not_xml_is_refused_with_its_line(text: str, line: int, why: str):
    """No entity is ever expanded, no file or address ever opened."""
    with pytest.raises(GraphNotReadable) as caught:
        parse(text.encode(), "x.graphml")
    assert why in caught.value.why
    assert caught.value.line == line
