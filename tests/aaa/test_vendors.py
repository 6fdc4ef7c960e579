"""Golden replies: what every vendor gets for each kind of policy, as attribute text."""

from pathlib import Path

import pytest

from aaa.errors import AttributeTooLong, VendorNotKnown
from aaa.vendors.attributes import decode, encode
from aaa.vendors.policy import Policy
from aaa.vendors.registry import change_block, names, reply_block, text_of, vendor

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
    "garden": Policy(down=500_000_000, up=50_000_000, garden=True, pool4="west-garden"),
    "unlimited": Policy(pool4="west-cgn", interim=60),
}
SLOW = Policy(down=1_000_000, up=512_000, pool4="west-cgn", pd="2001:db8:4001:1700::/56", interim=600)


@pytest.mark.parametrize("name", names())
def test_replies_are_as_reviewed(name, golden):
    """The reply attributes of every vendor, for four policies and a change of speed, are the reviewed ones."""
    parts = [f"# {name}: {vendor(name).source}"]
    for what, policy in POLICIES.items():
        parts += [f"\n[{what}]", *text_of(reply_block(name, policy))]
    can = vendor(name).coa
    parts += [
        "\n[a live session]",
        f"by CoA: {', '.join(can.change) or 'nothing'}",
        f"Disconnect: {can.disconnect}",
    ]
    if "rate" in can.change:
        parts += ["\n[CoA to 1 M / 512 k]", *text_of(change_block(name, POOLED, SLOW, {"rate"}))]
    golden.check(GOLDEN / f"{name}.txt", "\n".join(parts) + "\n")


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
    with pytest.raises(VendorNotKnown, match="mikrotik"):
        vendor("nobody")
