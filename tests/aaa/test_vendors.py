"""Golden replies: what every vendor gets for each kind of policy, as attribute text."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from aaa.coa.decide import decide
from aaa.errors import AttributeTooLong, VendorNotKnown
from aaa.vendors.attributes import decode, encode
from aaa.vendors.policy import Policy, hash_of
from aaa.vendors.registry import names, reply_block, text_of, vendor

GOLDEN = Path(__file__).parent / "golden"
POOLED = Policy(down=500_000_000, up=50_000_000, pool4="west-cgn", pd="2001:db8:4001:1700::/56", interim=600)
POLICIES = {
    "pooled": POOLED,
    "fixed": Policy(
        down=100_000_000,
        up=20_000_000,
        address4="203.0.113.77",
        pool6="west-wan6",
        pdpool="west-pd",
        timeout=3600,
    ),
    "fixed IPv6": Policy(pool4="west-cgn", address6="2001:db8:9::5", pd="2001:db8:4001:1700::/56"),
    "IPv6 pool, advertised": Policy(pool4="west-cgn", pool6="west-wan6", slaac=True, pdpool="west-pd"),
    "garden": Policy(down=500_000_000, up=50_000_000, garden=True, pool4="west-garden"),
    "unlimited": Policy(pool4="west-cgn", interim=60),
    "in a VRF, with a quota": Policy(pool4="west-cgn", vrf="210", octets=5_000_000_000, timeout=900),
    "garden with a page": Policy(
        down=500_000_000, up=50_000_000, garden=True, portal="https://pay.example.net/"
    ),
}
PAGE = "https://pay.example.net/"
GARDEN = Policy(down=500_000_000, up=50_000_000, garden=True, pool4="west-garden", portal=PAGE)
PLAIN = Policy(down=500_000_000, up=50_000_000, pool4="west-cgn")
SLOW = Policy(down=1_000_000, up=512_000, pool4="west-cgn", pd="2001:db8:4001:1700::/56", interim=600)


@pytest.mark.parametrize("name", names())
def test_replies_are_as_reviewed(name, golden):
    """The reply attributes of every vendor, for four policies and a change of speed, are the reviewed ones."""
    parts = [f"# {name}: {vendor(name).source}"]
    for what, policy in POLICIES.items():
        parts += [f"\n[{what}]", *text_of(reply_block(name, policy))]
    golden.check(GOLDEN / f"{name}.txt", "\n".join(parts) + "\n")


CHANGES = {
    "a slower rate": (POOLED, SLOW),
    "no limit any more": (POOLED, replace(POOLED, down=0, up=0)),
    "into the garden, with its own pool": (POOLED, GARDEN),
    "out of the garden, with its own pool": (GARDEN, POOLED),
    "into the garden, same address, IPv4 alone": (PLAIN, replace(PLAIN, garden=True, portal=PAGE)),
    "out of the garden, same address, IPv4 alone": (replace(PLAIN, garden=True), PLAIN),
    "another address": (PLAIN, replace(PLAIN, pool4="", address4="203.0.113.77")),
    "into a VRF": (PLAIN, replace(PLAIN, vrf="210")),
    "out of a VRF": (replace(PLAIN, vrf="210"), PLAIN),
    "blocked": (PLAIN, None),
}


@pytest.mark.parametrize("name", names())
def test_changes_of_live_sessions_are_as_reviewed(name, golden):
    """What a live session of every vendor gets for each kind of change: the CoA, or how it ends and why."""
    parts = [f"# {name}: changes of a live session"]
    for what, (old, new) in CHANGES.items():
        action = decide(old, new, name)
        parts += [f"\n[{what}]", f"{action.how}: {action.why}", *text_of(action.attributes)]
    golden.check(GOLDEN / "coa" / f"{name}.txt", "\n".join(parts) + "\n")


@pytest.mark.parametrize("name", names())
def test_nobody_leaves_the_garden_or_a_pool_without_logging_in_again(name):
    """Who may have logged in inside the garden has its address: by CoA alone nobody gets out of it."""
    assert decide(GARDEN, POOLED, name).how in ("disconnect", "end-session")
    assert decide(PLAIN, replace(PLAIN, pool4="other"), name).how in ("disconnect", "end-session")


def test_hashes_of_older_policies_are_what_they_were():
    """A field that came later is in the hash only when it says something; a page or a quota's rest never is."""
    assert hash_of(Policy(down=500, up=50, pool4="cgn", pd="2001:db8::/56")) == "b6d9cc862c7b6ef3"
    assert hash_of(POOLED) == hash_of(replace(POOLED, octets=5, portal=PAGE))
    assert hash_of(POOLED) != hash_of(replace(POOLED, vrf="210"))


@pytest.mark.parametrize("name", names())
def test_every_table_can_be_used(name):
    """Every attribute that a table names is in its dictionary, and comes back from the wire as what was put in."""
    table = vendor(name)
    for line in (one for rows in (table.reply, table.change) for lines in rows.values() for one in lines):
        assert line.name in table.attributes
    assert all(attribute.code < 256 for attribute in table.attributes.values())


def test_values_that_do_not_fit_are_refused_and_strange_octets_never_raise():
    """A text over 253 octets is an error; octets that are no integer, address or prefix are shown in hex."""
    table = vendor("mikrotik")
    with pytest.raises(AttributeTooLong):
        encode(table.attributes["Mikrotik-Address-List"], "x" * 250)
    for name in ("Session-Timeout", "Framed-IP-Address", "Framed-IPv6-Prefix"):
        assert decode(table.attributes[name], b"\xff") == "0xff"
    for attribute in table.attributes.values():
        assert decode(attribute, b"") in ("", "0x")
    with pytest.raises(VendorNotKnown, match="mikrotik"):
        vendor("nobody")


def test_how_a_pool_reaches_the_subscriber_cuts_nobody_off():
    """Nokia has another word for a pool of advertised prefixes; sessions from before are as they should be."""
    leased = Policy(pool4="west-cgn", pool6="west-wan6")
    advertised = replace(leased, slaac=True)
    assert hash_of(leased) == hash_of(advertised)
    assert "Alc-SLAAC-IPv6-Pool = west-wan6" in text_of(reply_block("nokia", advertised))
    assert "Framed-IPv6-Pool = west-wan6" in text_of(reply_block("nokia", leased))
    assert reply_block("mikrotik", leased) == reply_block("mikrotik", advertised)
