"""The loader: every mistake of a document at once, with place, code and hint."""

import time

import pytest

from intents import kinds, loader
from intents.loader import Document
from intents.scalars import Rate
from tests.intents.files import mistakes_in, text_of

LINE = kinds.path_of("line", "L-1")
SERVICE = kinds.path_of("service", "S-1")
MAIL = """\
schema: 1
operator: {name: N, asn: 64511, timezone: UTC, currency: EUR}
mail: {server: a, sender: b@c.d, since: %s}
"""


def problems(path: str, text: str):
    """The problems of a file; empty when it is good."""
    return mistakes_in(path, text.encode())


def test_all_mistakes_of_a_document_are_told_at_once():
    """Ten mistakes of different kinds, each where it stands."""
    text = """\
customer: C 1
typ: internet
state: actve
plan: 12
attach: {port: eth1, svlan: 5000, cvln: 3}
session: {method: pppoe, login: a@b, password: hunter2, bind: circuit}
ipv4: {mode: fixed, address: 1.2.3.400}
ipv6: {pd: "2001:db8:1::1/56"}
state: active
"""
    found = [(one.code, one.line, one.column, one.hint) for one in problems(SERVICE, text)]
    assert found == [
        ("key.missing", 1, 1, ""),
        ("value.format", 1, 11, ""),
        ("key.unknown", 2, 1, "did you mean 'type'?"),
        ("value.choice", 3, 8, "did you mean 'active'?"),
        ("value.type", 4, 7, 'put it in quotes: "12"'),
        ("value.format", 5, 29, ""),
        ("key.unknown", 5, 35, "did you mean 'cvlan'?"),
        ("value.secret", 6, 48, ""),
        ("value.type", 6, 63, "write it as [circuit]"),
        ("value.format", 7, 30, ""),
        ("value.format", 8, 12, ""),
        ("yaml.duplicate", 9, 1, "the first is in line 3"),
    ]


def test_a_secret_in_clear_is_never_repeated():
    """Neither message nor hint has the password."""
    text = text_of("service", "V-1").replace('"enc:v1:cHc="', "hunter2")
    assert text.count("hunter2") == 1
    found = problems(SERVICE, text)
    assert [one.code for one in found] == ["value.secret"]
    assert "hunter2" not in repr(found)


def test_a_mistake_of_meaning_is_told_beside_an_unknown_key():
    """An unknown key does not hide that the address is missing."""
    text = text_of("service", "V-3").replace(", address: 203.0.113.20", ", adress: 203.0.113.20")
    assert [(one.code, one.line, one.hint) for one in problems(SERVICE, text)] == [
        ("service.fixed", 8, ""),
        ("key.unknown", 8, "did you mean 'address'?"),
    ]


@pytest.mark.parametrize(
    ("path", "text", "code", "place"),
    [
        (LINE, "state: active\n", "key.missing", (1, 1)),
        (LINE, "type: gpn\nstate: active\n", "value.choice", (1, 7)),
        (LINE, "type: [gpon]\nstate: active\n", "value.choice", (1, 7)),
        ("network/sites/a.yaml", "name: A\nlocation: {lat: 91, lon: 0}\n", "value.format", (2, 17)),
        ("network/sites/a.yaml", "name: A\nlocation: {lat: .nan, lon: 0}\n", "value.format", (2, 17)),
        ("network/sites/a.yaml", "name: 5\n", "value.type", (1, 7)),
        ("network/sites/a.yaml", "name: A\nagent: a/b\n", "value.format", (2, 8)),
        ("network/pools/p.yaml", "family: ipv4\nuse: cgnat\nprefixes: [10.0.0.1/8]\n", "value.format", (3, 12)),
        ("network/links/l.yaml", "type: trunk\nends: [{device: a, port: b}]\n", "link.type", (2, 7)),
        ("network/links/l.yaml", "type: trunk\nends: []\n", "value.format", (2, 7)),
        ("catalog/plans/p.yaml", "type: l2\nrate: {down: 5 Mbit, up: 1M}\n", "value.format", (2, 14)),
        ("catalog/plans/p.yaml", "type: l2\nrate: {down: true, up: 1M}\n", "value.format", (2, 14)),
        ("catalog/plans/p.yaml", 'type: l2\nprices: [{id: a, from: 2025-13-01, amount: "1"}]\n', "value.format", (2, 24)),  # noqa: E501
        ("catalog/plans/p.yaml", "type: l2\nprices: [{id: a, from: 2025-01-01, amount: 79.00}]\n", "value.format", (2, 44)),  # noqa: E501
        ("network/edges/e.yaml", "bngs: [{device: a, port: b}]\nsvlans: [100-99]\n", "value.format", (2, 9)),
        ("network/edges/e.yaml", "bngs: [{device: a, port: b}]\nsvlans: [1-9, 5]\n", "value.format", (2, 9)),
        ("network/edges/e.yaml", "bngs: [{device: a, port: b}]\nredundancy: active-active\n", "edge.redundancy", (2, 13)),  # noqa: E501
        ("network/devices/d.yaml", "site: a\nrole: olt\nplatform: x\n", "device.role", (2, 7)),
        ("network/devices/d.yaml", "site: a\nrole: router\nplatform: X Y\n", "value.format", (3, 11)),
        (kinds.path_of("hold", "S-1.abuse"), "effect: throttle\n", "hold.rate", (1, 9)),
        (kinds.path_of("hold", "S-1.abuse"), "effect: block\nsince: 2025-01-01T00:00:00\n", "value.format", (2, 8)),
        (kinds.path_of("hold", "S-1.abuse"), "effect: block\ncause: owes us money\n", "value.format", (2, 8)),
        ("trunkline.yaml", MAIL % "2026-02-30", "value.format", (3, 41)),
        ("policies/p.yaml", "kind: device\nrequire: a and\nmessage: m\n", "expression", (2, 10)),
        ("templates/frr/x.j2", "ok\n{% if %}\n", "template", (2, 1)),
    ],
)  # fmt: skip
def test_each_mistake_has_its_code_and_place(path, text, code, place):
    """One mistake, one problem, at the value."""
    assert [(one.code, (one.line, one.column)) for one in problems(path, text)] == [(code, place)]


@pytest.mark.parametrize(
    ("path", "code", "hint"),
    [
        ("network/device/r1.yaml", "path.unknown", "did you mean network/devices?"),
        ("Network/sites/a.yaml", "path.unknown", "did you mean network/sites?"),
        ("trunkline.yml", "path.unknown", "did you mean trunkline.yaml?"),
        ("network/sites/a b.yaml", "path.id", ""),
        ("network/sites/a.yml", "path.id", ""),
        ("network/sites/sub/a.yaml", "path.id", ""),
        (f"network/sites/{'x' * 64}.yaml", "path.id", ""),
        ("services/aa/bb/S-1.yaml", "path.shard", "git mv services/aa/bb/S-1.yaml services/66/36/S-1.yaml"),
        ("services/S-1.yaml", "path.shard", "git mv services/S-1.yaml services/66/36/S-1.yaml"),
        ("holds/66/36/S-1.yaml", "path.id", ""),
        (
            "holds/aa/bb/S-1.abuse.yaml",
            "path.shard",
            "git mv holds/aa/bb/S-1.abuse.yaml holds/66/36/S-1.abuse.yaml",
        ),
    ],
)
def test_a_path_that_does_not_match_kind_shard_and_id_is_a_mistake(path, code, hint):
    """The path names the kind and the id, and where the file must be."""
    found = mistakes_in(path, b"name: A\n")
    assert [(one.code, one.hint) for one in found if one.code.startswith("path.")] == [(code, hint)]


def test_scalars_are_values():
    """Rates are ints in bit/s, VLANs are ranges, MACs and serials have one spelling."""
    plan = loader.load("catalog/plans/home.yaml", text_of("plan", "home-100").encode())
    assert isinstance(plan, Document)
    assert plan.value.rate.down == 100_000_000
    assert plan.value.fair_use.then.up == Rate(2_500_000)
    assert (plan.value.schedule[0].from_, plan.value.schedule[0].to) == (22 * 60, 24 * 60)
    edge = loader.load("network/edges/island.yaml", text_of("edge", "island").encode())
    assert isinstance(edge, Document)
    assert edge.value.svlans == ((200, 299), (300, 401))
    assert edge.value.svlans.covers(250)
    assert not edge.value.svlans.covers(402)
    radio = loader.load(kinds.path_of("line", "N-2"), text_of("line", "N-2").encode())
    assert isinstance(radio, Document)
    assert radio.value.cpe.mac == "02:00:5e:10:00:aa"
    gpon = loader.load(kinds.path_of("line", "N-1"), text_of("line", "N-1").encode())
    assert isinstance(gpon, Document)
    assert (gpon.value.type, gpon.value.serial) == ("gpon", "ABCD0000BEEF")


def test_text_with_several_lines_is_for_expressions_only():
    """A policy may have a block of text; a description may not."""
    text = "kind: device\nrequire: |\n  site and\n  platform\nmessage: m\n"
    assert problems("policies/p.yaml", text) == []


def test_values_from_plain_mappings_are_typed_too():
    """What a program builds goes through the same door."""
    plan = loader.from_mapping("plan", {"type": "l2", "rate": {"down": 5_000_000, "up": "1M"}})
    assert plan.rate.down == 5 * 10**6
    with pytest.raises(ValueError, match="expected a rate"):
        loader.from_mapping("plan", {"type": "l2", "rate": {"down": "x", "up": "1M"}})


HOSTILE = {
    "unknown keys": (SERVICE, "\n".join(f"addres{number}: 1" for number in range(9900))),
    "many prefixes": (
        "network/pools/p.yaml",
        "family: ipv4\nuse: cgnat\nprefixes: ["
        + ",".join(f"10.{n // 250}.{n % 250}.0/24" for n in range(15000))
        + "]\n",
    ),
    "a sum that nobody should work out": (
        "policies/a.yaml",
        "kind: device\nmessage: m\nrequire: 9**9**9**9\n",
    ),
    "brackets": ("policies/a.yaml", f"kind: device\nmessage: m\nrequire: '{'(' * 100_000}'\n"),
    "a long key": (SERVICE, "a" * 250_000 + ": 1\n"),
    "quotes": (SERVICE, '"' * 250_000),
    "questions": (SERVICE, "? " * 120_000),
    "a template's sum": ("templates/frr/a.j2", "{{ 9**9**9**9 }}"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_file_costs_much(name):
    """Whatever 256 KiB say, the answer comes at once."""
    path, text = HOSTILE[name]
    begun = time.process_time()
    loader.load(path, text.encode())
    assert time.process_time() - begun < 3


@pytest.mark.parametrize(
    ("path", "text", "place"),
    [
        (SERVICE, "customer: C-1\nplan: p\ntype: l2\nstate: planned\nstart: 9999-12-31\n", (5, 8)),
        ("trunkline.yaml", MAIL % "0001-01-01", (3, 41)),
        ("catalog/plans/p.yaml", 'type: l2\nprices: [{id: a, from: 0001-01-01, amount: "1"}]\n', (2, 24)),
        ("catalog/offers/o.yaml", "type: promotion\npercent: 5\nuntil: 9999-12-31\n", (3, 8)),
    ],
)
def test_a_day_that_is_far_off_is_a_warning(path, text, place):
    """The file counts: it was good before days were looked at, and must be when an index is built anew."""
    found = loader.load(path, text.encode())
    assert not isinstance(found, list)
    assert [(one.code, one.severity, (one.line, one.column)) for one in found.warnings] == [
        ("value.format", "warning", place)
    ]
