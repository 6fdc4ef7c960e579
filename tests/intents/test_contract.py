"""What others rely on: readers answer alike, schemas and documents follow the code, the registry is by folder."""

import re

import pytest

from intents import checks, codes, describe, dump, jsonschema, kinds
from intents.checks import Finding, Scope
from intents.kinds import KINDS
from intents.reader import MemoryReader, Recorded
from tests.documents.reference import GENERATED
from tests.intents.files import documents, network
from tests.support import ROOT


@pytest.fixture
def reader() -> MemoryReader:
    """The small network in memory."""
    return MemoryReader(documents(network()), revision="abc")


def test_a_reader_knows_who_names_a_document(reader):
    """Each once, sorted; only those of a kind when asked so."""
    assert list(reader.referrers("device", "gw1", "link")) == [
        ("link", "nni1"),
        ("link", "olt1--gw1"),
        ("link", "r1--gw1"),
    ]
    assert list(reader.referrers("service", "V-1")) == [("hold", "V-1.nonpayment")]
    assert ("edge", "island") in list(reader.referrers("device", "gw1"))
    assert list(reader.referrers("device", "nobody")) == []


def test_a_reader_finds_overlapping_claims(reader):
    """Bounds are included; ranges and single values meet."""
    ids = [claimed.id for claimed in reader.claims_overlapping("pool4", "64400000", "64400000")]
    assert ids == ["cgn"]
    assert list(reader.claims_overlapping("pool4", "64500000", "64600000")) == []
    assert [
        one.id for one in reader.claims_overlapping("login", "v1@island.example", "v1@island.example")
    ] == ["V-1"]


def test_a_recorded_reader_keeps_what_was_asked(reader):
    """Answers are the inner reader's; misses are recorded too."""
    recorded = Recorded(reader)
    assert recorded.get("site", "north").name == "North"
    assert recorded.get("site", "south") is None
    assert not recorded.exists("plan", "none")
    assert recorded.ids("edge") == ["island"]
    assert [name for name, _ in recorded.all("hold")] == ["V-1.nonpayment"]
    assert list(recorded.referrers("line", "N-1"))
    assert recorded.revision == "abc"
    assert recorded.documents == {("site", "north"), ("site", "south"), ("plan", "none")}
    assert recorded.scans == {"edge", "hold"}
    assert recorded.named == {("line", "N-1", "")}


def test_an_upper_room_registers_a_check(reader):
    """Its findings come with ours."""

    def platforms(found, scope):
        for identifier, device in scope.of(found, "device"):
            if device.platform == "virtual":
                yield Finding("value.choice", "device", identifier, ("platform",), "not here")

    checks.check("test only")(platforms)
    try:
        assert [finding.id for finding in checks.findings(reader, Scope())] == ["ap1", "olt1"]
    finally:
        del checks.CHECKS["test only"]


def test_every_kind_of_yaml_has_a_json_schema():
    """Each is closed to unknown keys, and knows its files."""
    made = jsonschema.schemas()
    assert set(made) == set(KINDS) - {"template"}
    assert made["service"]["$defs"]["Session"]["additionalProperties"] is False
    assert made["plan"]["$defs"]["RatePair"]["required"] == ["down", "up"]
    assert jsonschema.globs()["schemas/hold.schema.json"] == ["holds/*/*/*.yaml"]


def test_every_code_that_the_room_gives_is_explained():
    """A code without a sentence in `codes.py` cannot be looked up."""
    pattern = re.compile(r"(?:Mistake|Problem|Complaint|Finding|Rule)\(\s*\"([a-z.-]+)\"")
    sources = [path for path in (ROOT / "intents").rglob("*.py") if "testdata" not in path.parts]
    given = {code for path in sources for code in pattern.findall(path.read_text())}
    assert len(given) > 40
    assert given - set(codes.CODES) - {"guard."} == set()


@pytest.mark.parametrize(("name", "write"), [("intents", describe.fields), ("problems", describe.codes)])
def test_the_reference_is_fresh(name, write):
    """docs/reference follows the structures; `make docs` writes it."""
    path = f"docs/reference/{name}.md"
    assert GENERATED[path] is write
    assert (ROOT / path).read_text() == write()


def test_kinds_are_found_by_folder():
    """A kind is a folder with a `kind.py`; its name is the folder's."""
    folders = {path.parent.name for path in (ROOT / "intents").glob("*/kind.py")}
    assert set(KINDS) == folders


def test_canonical_yaml_is_what_a_person_would_write():
    """Block style, the order of the structure, defaults left out, quotes only where they are needed."""
    (hold,) = [document for document in documents(network()) if document.kind == "hold"]
    assert dump.to_yaml("hold", hold.value).decode() == (
        "effect: throttle\nrate:\n  down: 1M\n  up: 512k\nsince: '2025-11-20T02:00:00Z'\n"
        "cause: INV-7\nbatch: dun-2025-11-20\n"
    )


def test_a_hold_lies_beside_its_service():
    """The service's id decides the folders of its holds."""
    service, hold = kinds.path_of("service", "V-1"), kinds.path_of("hold", "V-1.abuse")
    assert service.split("/")[1:3] == hold.split("/")[1:3]
