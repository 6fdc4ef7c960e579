"""The virtual device's configuration language: canonical, merged by identity, every mistake at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.virtual.grammar import LANGUAGE, SECTIONS, VALUES
from drivers.virtual.parser import NotUnderstood, merge, parse, replace_sections
from drivers.virtual.tree import difference, masked, text

ONE = """system
  hostname r1
interface et-0/0/2
  mtu 1500
  address 192.0.2.0/31
interface et-0/0/10
  description Core: to r2
"""


def test_order_of_writing_does_not_matter():
    """Canonical order comes from the language, ports in natural order."""
    shuffled = (
        "interface et-0/0/10\n  description Core: to r2\n"
        "! a comment\nsystem\n  hostname r1\ninterface et-0/0/2\n  address 192.0.2.0/31\n  mtu 1500\n"
    )
    assert text(parse(shuffled, "router")) == ONE


def test_a_single_value_is_replaced_and_several_stand_side_by_side():
    """mtu takes the place of mtu; a second address joins the first."""
    merged = merge(
        parse(ONE, "router"), "interface et-0/0/2\n  mtu 9000\n  address 2001:db8::/127\n", "router"
    )
    assert list(merged["interface et-0/0/2"]) == [
        "mtu 9000",
        "address 192.0.2.0/31",
        "address 2001:db8::/127",
    ]


def test_no_takes_lines_and_blocks_away():
    """`no LINE` in a merge removes exactly that line or block."""
    merged = merge(
        parse(ONE, "router"), "no interface et-0/0/10\ninterface et-0/0/2\n  no mtu 1500\n", "router"
    )
    assert "interface et-0/0/10" not in merged
    assert list(merged["interface et-0/0/2"]) == ["address 192.0.2.0/31"]


def test_a_difference_shows_the_blocks_around_it():
    """A changed line without its interface would say nothing."""
    changed = parse(ONE.replace("1500", "9000"), "router")
    expected = "  interface et-0/0/2\n-   mtu 1500\n+   mtu 9000\n"
    assert difference(parse(ONE, "router"), changed) == expected


def test_every_mistake_is_told_with_its_line():
    """Unknown words with the nearest one, wrong values with the form, doubles with the first line."""
    wrong = (
        "system\n  hostnam x\n   odd\ninterface a b\n\ttab\npon 0/1\ninterface x\n  mtu 1\n  mtu 2\nmtu 3\n"
    )
    with pytest.raises(NotUnderstood) as caught:
        parse(wrong, "router")
    assert [mistake.line for mistake in caught.value.mistakes] == [2, 3, 4, 5, 6, 9, 10]
    assert "did you mean 'hostname'?" in str(caught.value)


def test_a_role_has_only_its_own_sections():
    """A PON on a router is a syntax error."""
    assert parse("pon 0/1/0\n  svlan 101\n", "olt")
    with pytest.raises(NotUnderstood, match="unknown statement 'pon'"):
        parse("pon 0/1/0\n", "router")


def test_only_our_sections_are_replaced():
    """What left the intent goes from a section of ours; somebody else's section stays."""
    running = parse(ONE + "router\n  router-id 198.51.100.1\n", "router")
    wanted = "system\n  hostname other\ninterface et-0/0/2\n  mtu 9000\n"
    found = replace_sections(running, wanted, ["interfaces"], "router")
    assert list(found) == ["system", "interface et-0/0/2", "router"]
    assert list(found["interface et-0/0/2"]) == ["mtu 9000"]
    assert list(found["system"]) == ["hostname r1"]


def test_every_top_level_word_belongs_to_one_section():
    """Nothing of the language is owned by nobody or by two."""
    words = {line.split(" ")[0] for line in LANGUAGE.strip().splitlines() if not line.startswith(" ")}
    owned = [word for section in SECTIONS.values() for word in section]
    assert sorted(owned) == sorted(words)


def test_secrets_are_masked():
    """A sanitized configuration shows that there is a secret, not which."""
    assert masked("radius\n  server 10.0.0.1\n    secret a b c\n").endswith("    secret <removed>\n")


def test_every_value_type_of_the_language_is_defined():
    """The specification has no word in capitals that nobody checks."""
    words = {word for line in LANGUAGE.splitlines() for word in line.split() if word.isupper()}
    assert words == set(VALUES)


PORTS = st.dictionaries(
    st.integers(0, 12), st.tuples(st.integers(64, 9216), st.sets(st.integers(0, 9), max_size=3)), max_size=6
)


def configuration(ports: dict[int, tuple[int, set[int]]]) -> str:
    lines = ["system", "  hostname r1"]
    for port, (mtu, hosts) in ports.items():
        lines += [
            f"interface et{port}",
            f"  mtu {mtu}",
            *(f"  address 10.{port}.0.{host}/32" for host in hosts),
        ]
    return "\n".join(lines) + "\n"


@given(PORTS, PORTS)
def test_no_difference_means_the_same_text_and_the_reverse(one, other):
    """compare is empty exactly when nothing would change."""
    old, new = parse(configuration(one), "router"), parse(configuration(other), "router")
    assert (difference(old, new) == "") == (text(old) == text(new))
    assert parse(text(old), "router") == old


@given(PORTS, PORTS)
def test_merging_twice_is_merging_once(one, other):
    """A merge is idempotent."""
    base = parse(configuration(one), "router")
    once = merge(base, configuration(other), "router")
    assert text(merge(once, configuration(other), "router")) == text(once)
