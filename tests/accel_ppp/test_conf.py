"""accel-ppp.conf as its parser reads it, what is wrong in it, and what a reload does not take."""

import pytest

from drivers.accel_ppp.conf import mistakes, read, restart_reasons
from drivers.accel_ppp.driver import is_later, sessions_of
from drivers.accel_ppp.files import CONF, masked
from tests.accel_ppp.conftest import config

BASE = config()


def reasons(old: str, new: str, later: bool = False) -> list[str]:
    """For the example after replacing `old`."""
    assert old in BASE
    return restart_reasons(BASE, BASE.replace(old, new), later)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ac-name=bng1", "ac-name=other"),
        ("acct-interim-interval=300", "acct-interim-interval=600"),
        ("vlan-mon=eth1.200,1-4094\n", "vlan-mon=eth1.200,1-4094\nvlan-mon=eth1.201,1-4094\n"),
        ("dns1=198.51.100.53", "dns1=198.51.100.55"),
        ("mtu=1492", "mtu=1480"),
    ],
)
def test_what_reload_takes_needs_no_restart(old, new):
    """These modules read their sections again at EV_CONFIG_RELOAD."""
    assert reasons(old, new) == []


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("shaper\n\n", "shaper\nconnlimit\n\n", "[modules]"),
        ("tcp=127.0.0.1:2001", "tcp=127.0.0.1:2002", "[cli] tcp"),
        ("10.255.77.12:3799", "10.255.77.12:3800", "[radius] dae-server"),
        ("radius-secret", "fresh-secret", "[radius] server"),
        ("weight=1,backup", "weight=1", "[radius] server"),
        ("interface=re:^eth1", "interface=eth3\ninterface=re:^eth1", "[pppoe] interface"),
        ("100.65.0.2-254", "100.65.0.2-100", "[ip-pool]"),
        ("single-session=replace\n", "", "[common] single-session is gone"),
    ],
)
def test_what_is_read_once_needs_a_restart(old, new, why):
    """And the reason names it."""
    assert reasons(old, new) == [why]


def test_pools_and_secrets_are_reloaded_after_1_14_0():
    """The version that runs decides; a build between releases counts as the release before."""
    assert reasons("100.65.0.2-254", "100.65.0.2-100", later=True) == []
    assert reasons("radius-secret", "fresh-secret", later=True) == []
    assert [is_later(said) for said in ("1.14.0", "1.14.0-37-g89637ee", "1.15.0", "")] == [
        False,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("mtu=1492\n", "line 1: stands before the first section"),
        ("[ppp\n", "line 1: the section's name does not end"),
        ("[pppeo]\n", "line 1: accel-ppp has no section [pppeo]"),
        ("[ppp]\nmtu=" + "1" * 1020 + "\n", "line 2: longer than 1022 octets"),
        ("[ppp]\n$include /etc/passwd\n", "line 2: files and blocks inside the file are not taken"),
    ],
)
def test_what_accel_ppp_would_misread_is_found_before(text, why):
    """It has no mode that only checks a file."""
    assert list(mistakes(text)) == [why]


def test_options_are_read_in_order():
    """The same option may stand several times."""
    assert read("[a]\n# no\nx=1\n x = 2 \ny\n") == {"a": [("x", "1"), ("x", "2"), ("y", "")]}


def test_secrets_are_masked_and_words_that_are_none_stay():
    """`password=username` of [ipoe] is a rule, not a secret."""
    text = "server=10.0.0.1,s3cret,auth-port=1812\ndae-server=10.0.0.1:3799,s3cret\n"
    text += "password=s3cret\npassword=username\n"
    shown = masked(CONF, text)
    assert "s3cret" not in shown
    assert "server=10.0.0.1,<secret>,auth-port=1812" in shown
    assert "password=username" in shown


def test_only_active_sessions_are_sessions():
    """`start` is not authorised yet, `finish` is on its way out."""
    table = (
        " sid | ifname | ip | calling-sid | state  | type | username\n"
        "-----+--------+----+-------------+--------+------+----------\n"
        " a1  | ppp0   |    | m           | active | pppoe | one     \n"
        " a2  | ppp1   |    | m           | start  | pppoe |         \n"
        " a3  | ppp2   |    | m           | finish | pppoe | three   \n"
    )
    assert [one.login for one in sessions_of(table)] == ["one"]
