"""What a reseller's server sets on our NAS is what it may set, whatever form it comes in."""

import pytest

from aaa.proxy.filters import filtered
from aaa.radius import packet as wire
from aaa.radius.packet import pair


def passed(*pairs: tuple[int, bytes], allow: tuple[str, ...] = ()) -> list[tuple[int, bytes]]:
    """What is left of a reply with these attributes, for the realm guest.example."""
    body = b"".join(pair(*one) for one in pairs)
    reply = wire.read(wire.sealed(wire.ACCESS_ACCEPT, 1, bytes(16), b"x", body, sign=False))
    assert reply is not None
    return filtered(reply, allow, "guest.example")[0].pairs


def vendor(number: int, kind: int, text: bytes) -> tuple[int, bytes]:
    return 26, number.to_bytes(4) + pair(kind, text)


def test_a_session_is_never_accounted_to_somebody_elses_login():
    """User-Name passes within the realm alone: with another one the NAS would account to a subscriber of ours."""
    for kept in (b"ann@guest.example", b"Ann@GUEST.example"):
        assert passed((1, kept)) == [(1, kept)]
    for taken in (b"s1@example.net", b"s1", b"L-0001", b"guest.example", b"ann@other-guest.example"):
        assert passed((1, taken), allow=("pool", "vrf", "filter", "admin")) == []


@pytest.mark.parametrize("tail", [b"\0", b"\x01", b"\x05\x01", b"\x05\x09x"])
def test_an_attribute_of_a_damaged_form_does_not_slip_through(tail):
    """A vendor's attribute with something behind it is not read by us; a lenient NAS would read its beginning."""
    kind, value = vendor(9, 1, b"shell:priv-lvl=15")
    assert passed((kind, value + tail)) == []
    assert passed((kind, value + tail), allow=("admin",)) == [(kind, value + tail)]
    unknown = (26, (24757).to_bytes(4) + b"\x01\x04\x00")
    assert passed(unknown) == [unknown]


@pytest.mark.parametrize(
    "text",
    [
        b"ip:addr=192.0.2.1",
        b"IP:Addr-Pool=x",
        b"ip:pool-def#1=x 192.0.2.1",
        b"ipv6:inacl#1=permit",
        b"Shell:priv-lvl=15",
    ],
)
def test_cisco_pairs_are_filtered_whatever_their_case(text):
    """Addresses, pools, filters and prompts are taken out; speeds pass."""
    speed = vendor(9, 1, b"ip:sub-qos-policy-in=up-50")
    assert passed(vendor(9, 1, text), speed) == [speed]
