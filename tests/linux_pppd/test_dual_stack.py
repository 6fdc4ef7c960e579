"""A dual-stack session from Start to Stop: IPv6CP, advertised and delegated prefix, accounting, held and released."""

import ipaddress

import pytest

from aaa.accounting.merge import Session
from cli.lab.bng import INTERNET6, INTERNET_SAYS, BngLab
from tests.linux_pppd.operator import Operator
from tests.support import eventually, need

pytestmark = [pytest.mark.real, pytest.mark.slow]

S1 = ("s1@example.net", "password-1")
WAN, DELEGATED = ipaddress.IPv6Network("2001:db8:3000::/64"), "2001:db8:4001:1101::1"
INTERIM = 160
"""Seconds in which an interim update comes that was begun after now: pppd sends one every 60, on a slow guest later."""
PATIENCE = 60
"""Seconds for what a guest does at once: on a slow machine each of its programs takes a while to start."""


def advertised(bng: BngLab) -> str:
    """The address that the subscriber's router made of the advertisement."""
    [address] = eventually(bng.addresses6, cap=PATIENCE)
    assert ipaddress.IPv6Address(address) in WAN
    return address


def the_session(operator: Operator, state: str = "open") -> Session:
    """The newest session in the database."""
    return eventually(lambda: operator.sessions(state), cap=PATIENCE)[-1]


def the_same(sessions: list[Session], one: Session) -> list[Session]:
    """The session of one's reference among them."""
    return [each for each in sessions if each.session_ref == one.session_ref]


def test_a_dual_stack_session_is_accounted_from_start_to_stop_and_loses_ipv6_while_it_is_held(
    bng: BngLab, operator: Operator
):
    """Start, Interim, Stop in the database with their octets; both prefixes carry traffic; held: IPv6 is gone too."""
    need("dhcp6c", apt="wide-dhcpv6-client")
    bng.dial(*S1, ipv6=True)
    started = the_session(operator)  # before its first interim, however slow the rest is
    assert (started.service, started.session_time, started.down_octets) == ("S-1", 0, 0)
    wan = advertised(bng)
    assert bng.delegate(cap=PATIENCE) == DELEGATED
    assert bng.ping6(wan)
    assert bng.ping6(DELEGATED)
    assert INTERNET_SAYS in bng.fetch().body
    # Nobody speaks for another's prefix.
    bng.on_cpe("ip -6 address add 2001:db8:4001:1200::1/128 dev lo")
    assert not bng.ping6("2001:db8:4001:1200::1")

    bng.on_cpe(f"ping -q -c 40 -i 0.05 -s 1000 {INTERNET6}")
    [interim] = eventually(lambda: [s for s in operator.sessions() if s.down_octets > 40_000], cap=INTERIM)
    assert interim.session_ref == started.session_ref
    assert interim.session_time >= 60
    assert interim.up_octets > 40_000
    assert interim.down_octets > 40_000

    operator.hold("S-1")
    assert operator.enforce(bng) == ["acked"]
    [stopped] = eventually(lambda: the_same(operator.sessions("closed"), started), cap=PATIENCE)
    assert (stopped.cause, stopped.inferred) == ("user-request", False)
    assert stopped.up_octets >= interim.up_octets
    assert stopped.session_time >= interim.session_time
    eventually(lambda: not bng.connected(), cap=PATIENCE)

    bng.dial(*S1, ipv6=True)
    eventually(bng.sessions, cap=PATIENCE)
    eventually(lambda: bng.fetch().status == 511, cap=PATIENCE)
    assert bng.delegate(cap=6) == ""
    assert bng.addresses6() == ()
    assert not bng.ping6(DELEGATED)

    operator.hold()
    assert operator.enforce(bng) == ["acked"]
    eventually(lambda: not bng.connected(), cap=PATIENCE)
    bng.dial(*S1, ipv6=True)
    assert bng.ping6(advertised(bng))
    assert bng.delegate(cap=PATIENCE) == DELEGATED
    assert bng.ping6(DELEGATED)
