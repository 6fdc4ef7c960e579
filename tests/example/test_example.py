"""The example network: valid, renderable on every platform, and the same as what is committed."""

from pathlib import Path
from typing import Any

import pytest

from cli.example import subscribers
from cli.example.network import backbone, example_documents, example_files
from cli.example.options import UNUSABLE, ExampleOptions
from core.crypto import DataKey, SecretNotReadable, open_, seal
from drivers.virtual.parser import parse
from drivers.virtual.validation import complaints
from intents import checks
from intents.kinds import is_foreign
from intents.loader import Document, load
from intents.reader import MemoryReader
from intents.validate import validate_dir
from inventory.resolve import resolve_device
from reconciler.secrets import MaskedSecrets, OpenSecrets
from renderers.registry import renderer_for
from tests.support import ROOT

COMMITTED = ROOT / "examples" / "aarnet"
LAB = ExampleOptions(
    bng_platform="linux_pppd", bng_vendor="pppd", redundant=False, vlans=False, bind=(), services=30,
    message_authenticator="auto", hello=1,
)  # fmt: skip
DEMO = ExampleOptions(router_platform="virtual", services=60)
TAGGED = ExampleOptions(bng_platform="linux_pppd", bng_vendor="pppd", redundant=False)


def reader_of(files: dict[str, bytes]) -> MemoryReader:
    """The intents among the files."""
    found = [load(path, raw) for path, raw in files.items() if not is_foreign(path)]
    good = [document for document in found if isinstance(document, Document)]
    assert len(good) == len(found), [
        str(problem) for one in found if isinstance(one, list) for problem in one
    ]
    return MemoryReader(good)


def test_the_committed_example_is_what_the_generator_writes():
    """`python examples/make_aarnet.py` changes nothing."""
    there = {
        str(path.relative_to(COMMITTED)): path.read_bytes() for path in COMMITTED.rglob("*") if path.is_file()
    }
    assert there == example_files()


def test_the_committed_example_has_no_problem():
    """Neither an error nor a warning."""
    assert [str(problem) for problem in validate_dir(COMMITTED)] == []


@pytest.mark.parametrize(
    "options", [ExampleOptions(), LAB, DEMO, TAGGED], ids=["files", "lab", "demo", "tagged"]
)
def test_every_variant_is_valid_and_every_device_renders(options: ExampleOptions):
    """Demo, lab and committed files: no problem, and each platform's renderer takes its devices."""
    reader = reader_of(example_files(options))
    assert [str(problem) for problem in checks.run(reader)] == []
    for name, device in reader.all("device"):
        rendered = renderer_for(device.platform).render(resolve_device(reader, name), MaskedSecrets())
        assert rendered.config, name
        if device.platform == "virtual":
            assert complaints(parse(rendered.config, device.role)) == [], name


def test_a_bng_carries_every_vlan_that_its_area_uses():
    """One cable a port: what an AP or an OLT needs arrives at the BNG's access port."""
    reader = reader_of(example_files())
    ports = {port.name: port for port in resolve_device(reader, "bng1").ports}
    carried = {vlan for low, high in ports["eth1"].svlans for vlan in range(low, high + 1)}
    assert carried == set(reader.get("edge", "perth-west").svlans.ids())
    used = [(end.device, end.port) for _, link in reader.all("link") for end in link.ends]
    assert len(used) == len(set(used))


def test_it_has_what_the_tour_shows():
    """19 routers in two pairs of reflectors and clients, BNGs, OLTs, APs, 300 lines and services of every sort."""
    documents = example_documents()
    roles = [value.role for (kind, _), value in documents.items() if kind == "device"]
    assert {role: roles.count(role) for role in ("router", "bng", "olt", "ap")} == {
        "router": 19, "bng": 2, "olt": 2, "ap": 2,
    }  # fmt: skip
    services = [value for (kind, _), value in documents.items() if kind == "service"]
    lines = [value for (kind, _), value in documents.items() if kind == "line"]
    assert (len(lines), len(services)) == (300, 300)
    assert _counts(services) == {"pppoe": 239, "ipoe": 40, "voice": 20, "l3": 1}
    assert sum(service.ipv4 is not None and service.ipv4.mode == "fixed" for service in services) == 40
    hospital = documents["service", subscribers.service_id(subscribers.HOSPITAL)]
    assert (hospital.on_hold, hospital.session.method) == ("manual", "pppoe")
    assert backbone().notes == ()


def _counts(services: list[Any]) -> dict[str, int]:
    sorts = [service.session.method if service.session else service.type for service in services]
    return {sort: sorts.count(sort) for sort in dict.fromkeys(sorts)}


def test_secrets_are_sealed_for_their_place_and_open_there():
    """A demo's own key opens every secret where it stands, and RADIUS secrets reach the BNG's configuration."""
    key, clear = DataKey.generate(), dict[tuple[str, str], str]()

    def sealed(path: str, name: str) -> str:
        clear[path, name] = f"pw{len(clear)}"
        return seal(key, clear[path, name], path, name)

    reader = reader_of(example_files(ExampleOptions(services=30, router_platform="virtual", seal=sealed)))
    place = ("network/devices/bng1.yaml", "nas.secrets")
    rendered = renderer_for("virtual").render(resolve_device(reader, "bng1"), OpenSecrets(key))
    assert f"secret {clear[place]}" in rendered.config
    fibre = reader.get("service", subscribers.service_id(0))
    path = f"services/{_shard(subscribers.service_id(0))}"
    assert open_(key, fibre.session.password, path, "session.password") == clear[path, "session.password"]


def _shard(service: str) -> str:
    from core.ids import shard

    return f"{shard(service)}/{service}.yaml"


def test_no_committed_secret_opens():
    """What stands in the files is no ciphertext of any key."""
    with pytest.raises(SecretNotReadable):
        open_(DataKey.generate(), UNUSABLE, "trunkline.yaml", "logins.network.password")


def test_the_source_of_the_graph_is_named_beside_it():
    """Topology Zoo, its paper and licence, in the file and in the README."""
    for file in ("docs/aarnet.gml", "README.md"):
        text = Path(COMMITTED, file).read_text()
        assert "Internet Topology Zoo" in text
        assert "CC BY 4.0" in text


def test_places_never_collide():
    """No two of 20,000 numbers share a port, an ONU id, a VLAN pair or a delegated prefix."""
    places = [subscribers.place(i) for i in range(20_000)]
    onus = [(at.device, at.port, at.onu) for at in places if not at.radio]
    assert len(set(onus)) == len(onus)
    vlans = [(at.svlan, at.onu) for at in places if not at.radio]
    assert len(set(vlans)) == len(vlans)
    numbers = [(at.area.edge, at.number) for at in places]
    assert len(set(numbers)) == len(numbers)
