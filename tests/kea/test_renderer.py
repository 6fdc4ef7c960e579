"""Intents -> Kea's configuration and reservations: the golden file, and what decides them, by table."""

import json
from pathlib import Path

import pytest

from inventory.resolve import resolve_device
from inventory.subscribers import devices_of_line, services_on
from renderers.contract import CannotRender, Rendered
from renderers.kea.renderer import render
from renderers.registry import objects_of, renderer_for
from tests.kea.network import BLOCK, GARDEN, Opened, documents, hold, reader

GOLDEN = Path(__file__).parent / "golden"
S2, S4 = ("services/", "/S-2.yaml"), ("services/", "/S-4.yaml")
BOTH = documents() | {hold("S-2"): GARDEN, hold("S-2", "abuse"): BLOCK}
EMERGENCY = "on-hold: emergency-only\n"


def rendered(**replaced: tuple[str, str]) -> Rendered:
    """The small network's Kea after replacing (old, new) in its documents."""
    return render(resolve_device(reader(documents(**replaced)), "kea1"), Opened())


def plain(made: Rendered) -> dict:
    """The configuration as JSON: without Kea's comments and its include."""
    text = made.files["/etc/kea/kea-dhcp4.conf"].replace(
        '<?include "/etc/kea/trunkline-reservations.json"?>', "[]"
    )
    bare = "\n".join(line for line in text.splitlines() if not line.strip().startswith("//"))
    whole: dict[str, dict] = json.loads(bare)
    return whole["Dhcp4"]


def reservations(found: dict[str, str]) -> dict[str, tuple[dict, dict]]:
    """Service -> (key, attributes) of what its line wants on the Kea."""
    network = reader(found)
    wanted = [
        one
        for line_id, line in network.all("line")
        for one in objects_of("kea", line_id, line, services_on(network, line_id))
    ]
    return {one.owner: (one.key, one.attributes) for one in wanted}


def changed(path: tuple[str, str], old: str, new: str) -> dict[str, str]:
    """The documents with one of them changed."""
    found = documents()
    name = next(one for one in found if one.startswith(path[0]) and one.endswith(path[1]))
    assert old in found[name]
    return found | {name: found[name].replace(old, new)}


def test_the_example_renders_to_the_golden_file(golden):
    """Networks, subnets and classes; nothing of any subscriber."""
    golden.check(GOLDEN / "kea1.txt", rendered().config)
    assert "dhcp" in renderer_for("kea").ROLES


def test_every_subnet_is_open_to_its_pool_s_class_only_and_keeps_its_number():
    """The id is the prefix itself: leases find their subnet again whatever else changes."""
    [network] = plain(rendered())["shared-networks"]
    seen = {
        s["subnet"]: (s["id"], s["client-class"], [p["pool"] for p in s["pools"]]) for s in network["subnet4"]
    }
    assert seen == {
        "100.64.0.0/24": (0x64400000, "tl-perth-cgn", ["100.64.0.2-100.64.0.254"]),
        "100.127.0.0/24": (0x647F0000, "tl-perth-garden", ["100.127.0.2-100.127.0.254"]),
        "203.0.113.0/28": (0xCB007100, "tl-perth-public", []),
    }
    assert network["relay"]["ip-addresses"][0] == "198.51.100.11"
    assert {"100.64.0.1", "203.0.113.1", "100.127.0.1"} <= set(network["relay"]["ip-addresses"])


def test_renewals_go_to_the_relay_and_the_garden_is_short():
    """The server identifier is the gateway; the garden's lease is its own."""
    [network] = plain(rendered())["shared-networks"]
    for subnet in network["subnet4"]:
        options = {option["name"]: option["data"] for option in subnet["option-data"]}
        assert options["dhcp-server-identifier"] == options["routers"]
        assert options["domain-name-servers"] == "198.51.100.53"
        assert subnet["valid-lifetime"] == (6 if "garden" in subnet["client-class"] else 10)


def test_two_bngs_with_parts_of_their_own_are_two_networks_and_with_the_same_prefixes_one():
    """An address is of the part of the BNG that the subscriber came through; a standby shares what it stands by for."""
    two = (
        "bngs: [{device: bng1, port: eth1}]",
        "bngs: [{device: bng1, port: eth1}, {device: bng2, port: eth1}]",
    )
    found = documents(
        edge=two, cgn=("{bng1: [100.64.0.0/24]}", "{bng1: [100.64.0.0/25], bng2: [100.64.0.128/25]}")
    )
    found["network/devices/bng2.yaml"] = found["network/devices/bng1.yaml"]
    shared = render(resolve_device(reader(found), "kea1"), Opened())
    assert [each["name"] for each in plain(shared)["shared-networks"]] == [
        "bng1+bng2"
    ]  # the public pool is whole
    found["network/edges/perth-west.yaml"] = found["network/edges/perth-west.yaml"].replace(
        "public: perth-public, ", ""
    )
    apart = render(resolve_device(reader(found), "kea1"), Opened())
    assert [each["name"] for each in plain(apart)["shared-networks"]] == ["bng1", "bng2"]


def test_unknown_circuits_get_the_garden_where_the_option_says_so():
    """By default they get nothing. Who is unknown is known after the subnet is chosen: the pool is guarded instead."""
    classes = {each["name"]: each.get("test") for each in plain(rendered())["client-classes"]}
    assert set(classes.values()) == {None}
    asked = plain(rendered(kea=("lease: 10", "unknown: garden, lease: 10")))
    [test] = [each["test"] for each in asked["client-classes"] if "test" in each]
    assert test == "not member('KNOWN') or member('tl-perth-garden')"
    [garden] = [one for one in asked["shared-networks"][0]["subnet4"] if "client-class" not in one]
    assert [pool["client-class"] for pool in garden["pools"]] == ["tl.open-perth-garden"]


def test_every_service_is_a_reservation_by_its_circuit_or_by_the_mac_that_it_is_bound_to():
    """The OLT's template, a fixed address, a MAC, octets in hex: as RADIUS knows them."""
    assert reservations(documents()) == {
        "S-1": ({"circuit": b"olt7-1".hex()}, {"class": "tl-perth-cgn", "address": ""}),
        "S-2": ({"circuit": b"olt7-2".hex()}, {"class": "tl-perth-public", "address": "203.0.113.7"}),
        "S-3": ({"mac": "02:00:5e:10:00:03"}, {"class": "tl-perth-cgn", "address": ""}),
        "S-4": ({"circuit": "0004ff"}, {"class": "tl-perth-cgn", "address": ""}),
    }


@pytest.mark.parametrize(
    ("found", "service", "attributes"),
    [
        (documents() | {hold("S-2"): GARDEN}, "S-2", {"class": "tl-perth-garden", "address": ""}),
        (documents() | {hold("S-2"): BLOCK}, "S-2", {"class": "tl.nothing", "address": ""}),
        (BOTH, "S-2", {"class": "tl.nothing", "address": ""}),
        (
            documents() | {hold("S-2"): "effect: throttle\nrate: {down: 1M, up: 1M}\n"},
            "S-2",
            {"class": "tl-perth-public", "address": "203.0.113.7"},
        ),
        (changed(S2, "203.0.113.7", "192.0.2.9"), "S-2", {"class": "tl.nothing", "address": ""}),
        (
            changed(S4, "line: L-4\n", "line: L-4\n" + EMERGENCY) | {hold("S-4"): BLOCK},
            "S-4",
            {"class": "tl-perth-garden", "address": ""},
        ),
    ],
)
def test_holds_move_a_reservation_into_the_garden_or_to_nothing(found, service, attributes):
    """The strictest hold decides; a throttle is the BNG's; an address outside of every pool is never given."""
    assert reservations(found)[service][1] == attributes


def test_a_line_or_service_that_is_not_active_wants_nothing():
    """Kea forgets the circuit."""
    assert "S-2" not in reservations(changed(S2, "state: active", "state: ceased"))
    assert "S-2" not in reservations(changed(("lines/", "/L-2.yaml"), "state: active", "state: planned"))


def test_a_line_s_objects_are_on_its_olt_and_on_the_dhcp_servers_of_its_edge():
    """The reconciler works on each of them in its own session."""
    network = reader()
    assert devices_of_line(network, network.get("line", "L-1")) == ("olt7", "kea1")


@pytest.mark.parametrize(
    ("replaced", "why"),
    [
        ({"edge": ("dhcp: [kea1]\n", "")}, "no edge names it"),
        ({"kea": ("lease: 10", "lease: 2")}, "lease is 2"),
        ({"kea": ("lease: 10", "unknown: everything")}, "nothing or garden"),
    ],
)
def test_what_an_intent_does_not_say_enough_about_is_said_before_a_device_sees_it(replaced, why):
    """CannotRender names the device and what is missing."""
    with pytest.raises(CannotRender, match=why):
        rendered(**replaced)


def test_names_cannot_leave_their_quotes():
    """Everything passes JSON's own quoting."""
    made = rendered(kea=("lease: 10", 'lease: 10, listen: "eth0\\" ], <?include"'))
    assert plain(made)["interfaces-config"]["interfaces"] == ['eth0"', "]", "<?include"]
