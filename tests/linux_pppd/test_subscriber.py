"""A real PPPoE subscriber on a real BNG against our own RADIUS server: login, hold, page, release."""

import re

import pytest

from cli.lab.bng import INTERNET_SAYS, BngLab, LoginRejected
from cli.lab.subscriber import run_story
from tests.linux_pppd.operator import Operator, end
from tests.support import eventually

pytestmark = [pytest.mark.real, pytest.mark.slow]

S1, S2 = ("s1@example.net", "password-1"), ("s2@example.net", "password-2")


def test_a_subscriber_logs_in_and_reaches_the_internet(bng: BngLab, operator: Operator):
    """Address from the BNG's pool, accounting under the service that Class names, both rates on the interface."""
    got = bng.dial(*S1)
    assert got.address.startswith("100.64.0.")
    assert INTERNET_SAYS in bng.fetch().body
    recorded = eventually(operator.sessions, cap=5)[0]
    assert (recorded.service, recorded.login, recorded.framed_address) == ("S-1", S1[0], got.address)
    assert recorded.nas_port_id == "eth1"
    port = eventually(bng.sessions, cap=10)[0].interface
    shown = bng.on_bng(f"tc class show dev {port}; tc filter show dev {port} parent ffff:").output
    assert "rate 20Mbit" in shown
    assert "rate 5Mbit" in shown


def test_the_bng_and_accounting_see_the_same_session(bng: BngLab, operator: Operator):
    """The driver finds by login, interface and address what RADIUS knows by NAS-Port and Framed-IP-Address."""
    bng.dial(*S1)
    recorded = eventually(operator.sessions, cap=5)[0]
    seen = eventually(bng.sessions, cap=10)[0]
    assert (seen.login, seen.interface, seen.address) == (
        recorded.login,
        f"ppp{recorded.nas_port}",
        recorded.framed_address,
    )
    assert seen.calling_station == recorded.calling


def test_a_fixed_address_comes_from_radius(bng: BngLab):
    """Framed-IP-Address wins over the listener's pool."""
    assert bng.dial(*S2).address == "203.0.113.77"


def test_pap_and_chap_are_both_taken(bng: BngLab):
    """Old equipment speaks PAP only."""
    bng.dial(*S1, 0, "refuse-chap")
    bng.dial(*S2, 1, "refuse-pap")
    eventually(lambda: len(bng.sessions()) == 2, cap=10)


def test_a_wrong_password_is_rejected(bng: BngLab, operator: Operator):
    """No session, no accounting."""
    before = len(operator.sessions("closed"))
    with pytest.raises(LoginRejected):
        bng.dial(S1[0], "wrong")
    assert bng.sessions() == ()
    assert operator.sessions() == []
    assert len(operator.sessions("closed")) == before


def test_a_held_subscriber_lands_in_the_garden_and_comes_out_when_released(bng: BngLab, operator: Operator):
    """The story of `make lab`: the session ends, the first answer after the next login is the page, and nothing else
    answers; release: free."""
    outcomes = []

    def change(*held: str) -> None:
        eventually(operator.sessions, cap=5)
        operator.hold(*held)
        outcomes.extend(operator.enforce(bng))

    story = run_story(bng, operator.config(), S1, lambda: change("S-1"), change)
    assert outcomes == ["acked", "acked"]
    assert "https://my.example.net/pay" in story.page
    assert len(operator.sessions("closed")) >= 2
    eventually(operator.sessions, cap=5)
    assert operator.enforce(bng) == []


def test_names_in_the_garden_lead_to_the_page(bng: BngLab, operator: Operator):
    """Whatever resolver the subscriber asks, the garden answers, for ten seconds only."""
    operator.hold("S-1")
    bng.dial(*S1)
    assert bng.first_answer("http://www.example.com/some/page").status == 511
    assert bng.fetch("http://100.64.0.1/").status == 511


def test_a_session_that_cannot_be_shaped_is_in_the_garden_and_the_log_says_so(bng: BngLab):
    """pppd goes on when its hook fails, whatever the hook says: so nobody is free but by the hook's last step."""
    spoilt = "printf '#!/bin/sh\\necho \"$@\" >>/run/logged\\n' >/run/logger; chmod 755 /run/logger"
    spoilt += "; mount --bind /run/logger /usr/bin/logger; mount --bind /usr/bin/false /usr/sbin/tc"
    assert bng.on_bng(spoilt).status == 0
    try:
        bng.dial(*S1)
        assert bng.first_answer().status == 511
        said = bng.on_bng("cat /run/logged").output
    finally:
        bng.on_bng("umount /usr/sbin/tc /usr/bin/logger")
    assert re.search(
        r"session of s1@example\.net on ppp\d is in the garden: it is not shaped to 20000/5000", said
    )
    bng.hang_up()
    bng.dial(*S1)
    assert INTERNET_SAYS in bng.first_answer().body


def test_a_subscriber_cannot_reach_the_bng_itself(bng: BngLab):
    """Neither SSH nor the garden's page is open to a session that is not held."""
    bng.dial(*S1)
    for port in (22, 8080, 5353):
        assert bng.fetch(f"http://100.64.0.1:{port}/", cap=3).status == 0


def test_live_sessions_survive_an_unrelated_change(bng: BngLab, operator: Operator):
    """Page, rates, RADIUS retries and even the listener's own words change; nobody is dropped, new logins work."""
    first = bng.dial(*S1)
    before = eventually(bng.sessions, cap=10)
    change = bng.configure(
        operator.config(**{"ac-name: bng1": "ac-name: renamed", "1800 555 010": "1800 555 011"})
    )
    assert "-C renamed" in change
    assert bng.sessions() == before
    assert INTERNET_SAYS in bng.fetch().body
    assert bng.on_bng("/etc/trunkline/agent firewall").status == 0  # the rules again, as when they change
    assert INTERNET_SAYS in bng.fetch().body
    second = bng.dial(*S2, 1)
    assert second.interface == "ppp1"
    bng.hang_up(1)
    third = bng.dial("s2@example.net", "password-2", 1)
    assert first.address not in {second.address, third.address}


def test_ending_a_session_names_the_login(bng: BngLab, operator: Operator):
    """A session of somebody else on the same interface is left alone."""
    bng.dial(*S1)
    recorded = eventually(operator.sessions, cap=5)[0]
    other = type(recorded)(
        **{name: getattr(recorded, name) for name in recorded.__struct_fields__} | {"login": "x"}
    )
    assert end(bng, other) is False
    assert bng.connected()
    assert end(bng, recorded) is True
