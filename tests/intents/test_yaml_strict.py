"""Strict YAML: 1.2 core types, and everything else is a mistake with a place."""

import time

import pytest

from intents import kinds
from intents.yaml_strict import parse, parse_nodes, plain
from tests.intents.files import mistakes_in

SITE = kinds.path_of("site", "s")


def mistakes(raw: bytes, path: str = SITE):
    """(code, line, column) of every problem of a file."""
    return [(one.code, one.line, one.column) for one in mistakes_in(path, raw)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10:20:30", "10:20:30"), ("NO", "NO"), ("on", "on"), ("012", 12), ("0o14", 12), ("0x1F", 31), ("-3", -3),
        ("1_000", "1_000"), ("1e3", 1000.0), (".5", 0.5), ("1.", 1.0), ("true", True), ("yes", "yes"), ("~", None),
        ("Null", None), ("2025-01-01", "2025-01-01"), (".inf", ".inf"), (".nan", ".nan"), ("<<", "<<"), ("=", "="),
        ("9" * 30, float("9" * 30)), ("9" * 5000, "9" * 5000), ("1e999", "1e999"), ("0b1", "0b1"), ("", None),
    ],
)  # fmt: skip
def test_plain_scalars_are_those_of_yaml_1_2(text, value):
    """The core schema of YAML 1.2.2, and nothing of YAML 1.1."""
    assert plain(text) == value
    assert type(plain(text)) is type(value)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", [("yaml.empty", 1, 1)]),
        (b"# only a comment\n", [("yaml.empty", 1, 1)]),
        (b"name: A\nname: B\n", [("yaml.duplicate", 2, 1)]),
        (b"name: &a A\nagent: *a\n", [("yaml.anchor", 1, 7), ("yaml.alias", 2, 8)]),
        (b"name: !!str A\n", [("yaml.tag", 1, 7)]),
        (b"name: !mine A\n", [("yaml.tag", 1, 7)]),
        (b"%YAML 1.1\n---\nname: A\n", [("yaml.directive", 1, 1)]),
        (b"name: A\n---\nname: B\n", [("yaml.documents", 2, 1)]),
        (b"name: A\n\tagent: b\n", [("yaml.tab", 2, 1)]),
        (b"name: A\tB\nagnt: c\n", [("yaml.tab", 1, 8), ("key.unknown", 2, 1)]),
        (b"\xef\xbb\xbfname: A\n", [("yaml.bom", 1, 1)]),
        (b"name: A\nagent: b\xff\n", [("yaml.utf8", 2, 9)]),
        ("name: é\nagent: ".encode() + b"\xc3(\n", [("yaml.utf8", 2, 8)]),
        ("name: A\n".encode("utf-16"), [("yaml.utf8", 1, 1)]),
        (b"name: A\x07\n", [("yaml.control", 1, 8)]),
        (b"name: A\rB\n", [("yaml.control", 1, 8)]),
        ("name: A\u2028B\n".encode(), [("yaml.control", 1, 8)]),
        ("name: A\u202eB\n".encode(), [("yaml.control", 1, 8)]),
        (b"name: [A\n", [("yaml.syntax", 2, 1)]),
        (b"name: a: b\n", [("yaml.syntax", 1, 8)]),
        (b"? [a]\n: b\n", [("key.missing", 1, 1), ("yaml.key", 1, 3)]),
        (b"[" * 40 + b"]" * 40, [("yaml.depth", 1, 33)]),
        (b"- name\n", [("value.type", 1, 1)]),
        (b"name\n", [("value.type", 1, 1)]),
        (b'name: "A\\nB"\n', [("value.control", 1, 7)]),
        (b"name: |\n  A\n  B\n", [("value.control", 1, 7)]),
        (b"name: A\n\n  B\n", [("value.control", 1, 7)]),
        (b'name: "A\\u202eB"\n', [("value.control", 1, 7)]),
        (b'name: A\n"ag\\nent": b\n', [("key.unknown", 2, 1), ("value.control", 2, 1)]),
    ],
)
def test_what_strict_yaml_has_not_is_told_with_its_place(raw, expected):
    """Each class of mistake has its code, line and column."""
    assert mistakes(raw) == expected


def test_windows_line_ends_are_fine():
    """CRLF is a line break; a file from a Windows editor loads."""
    assert mistakes(b"name: A\r\nagent: b\r\n") == []


def test_a_file_of_ten_megabytes_is_one_clear_sentence_at_once():
    """Nothing of a big file is parsed."""
    raw = b"name: " + b"x" * 10_000_000
    begun = time.process_time()
    found = mistakes_in(SITE, raw)
    assert time.process_time() - begun < 0.5
    assert [str(one) for one in found] == [
        f"{SITE}:1:1: error: the file has 10.0 MB; an intent may have 256 KiB (one thing, one file) [yaml.size]"
    ]


def test_an_alias_bomb_costs_nothing():
    """Nine levels of nine aliases each are counted, never expanded."""
    lines = ['a: &a ["lol", "lol"]'] + [
        f"{b}: &{b} [{', '.join(['*' + a] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    begun = time.process_time()
    found = mistakes("\n".join(lines).encode())
    assert time.process_time() - begun < 1
    assert ("yaml.anchor", 1, 4) in found
    assert ("yaml.alias", 2, 8) in found


def test_too_many_values_end_the_reading():
    """A file of many small values is bounded by their number."""
    assert ("yaml.nodes", 1) in [one[:2] for one in mistakes(b"[" + b"1," * 30_000 + b"]")]


def test_a_thousand_mistakes_are_capped():
    """A hundred are listed, then their number."""
    found = mistakes_in(SITE, "\n".join(f"k{number}: 1" for number in range(1000)).encode())
    assert len(found) == 101
    assert found[-1].code == "more"
    assert found[-1].message.startswith("901 more")


def test_fast_and_placed_parsing_give_the_same_value():
    """The two ways of reading never differ."""
    text = "a: [1, {b: 0o17, c: ~}]\nd: 'NO'\n1: x\n"
    value, wrong = parse(text)
    parsed = parse_nodes(text)
    assert not wrong
    assert parsed.node is not None
    assert parsed.node.value == value == {"a": [1, {"b": 15, "c": None}], "d": "NO", "1": "x"}
