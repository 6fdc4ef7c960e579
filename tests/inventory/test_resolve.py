"""Resolving a device: every reference followed, every read recorded."""

from core import ids
from intents.loader import Document, load
from intents.reader import MemoryReader, Recorded
from inventory.resolve import resolve_device
from inventory.subscribers import restriction_of
from tests.renderers.network_of_files import network


def test_a_bng_knows_its_links_edges_pools_and_radius_servers() -> None:
    """What a renderer needs is in the model, in a stable order."""
    model = resolve_device(network(), "bng1")
    assert [port.name for port in model.ports] == sorted(port.name for port in model.ports)
    routed = next(port for port in model.ports if port.link_type == "routed")
    assert routed.far is not None
    assert routed.far.device == "core1"
    assert [part.use for part in model.edges[0].pools][:1] == ["cgnat"]
    assert model.nas is not None
    assert [server.address for server in model.nas.servers] == ["10.255.1.1", "2001:db8:ff::1", "10.255.1.2"]


def test_what_was_read_is_recorded_and_lines_are_not_among_it() -> None:
    """A subscriber's change must not wake the topology lane."""
    recorded = Recorded(network())
    resolve_device(recorded, "olt7")
    assert ("device", "olt7") in recorded.documents
    assert not [kind for kind, _ in recorded.documents if kind in ("line", "hold")]
    assert {by for _, _, by in recorded.named} <= {"link", "edge", "device", "service"}


def _held(*holds: tuple[str, str]) -> MemoryReader:
    documents = []
    for reason, text in holds:
        raw = load(f"holds/{ids.shard('S-1')}/S-1.{reason}.yaml", text.encode())
        assert isinstance(raw, Document)
        documents.append(raw)
    return MemoryReader(documents)


def test_the_strictest_hold_wins_and_throttles_take_the_minimum_per_direction() -> None:
    """block > walled-garden > throttle."""
    fast = ("vacation", "effect: throttle\nrate: {down: 5M, up: 1M}\n")
    slow = ("admin", "effect: throttle\nrate: {down: 9M, up: 512k}\n")
    both = restriction_of(_held(fast, slow), "S-1")
    assert (both.effect, both.down, both.up) == ("throttle", 5_000_000, 512_000)
    garden = ("nonpayment", "effect: walled-garden\n")
    assert restriction_of(_held(fast, garden), "S-1").effect == "walled-garden"
    assert restriction_of(_held(garden, ("abuse", "effect: block\n")), "S-1").effect == "block"
    assert restriction_of(_held(garden), "S-2").effect == ""
