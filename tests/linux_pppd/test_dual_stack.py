"""Two dual-stack sessions: one accounted from Start to Stop, and while its interim is due, one held and released."""

import ipaddress

import pytest

from aaa.accounting.merge import Session
from cli.lab.bng import INTERNET6, INTERNET_SAYS, BngLab
from tests.linux_pppd.operator import Operator
from tests.support import eventually, need

pytestmark = [pytest.mark.real, pytest.mark.slow]

# One each for unit 0 and unit 1 of the subscriber's router; the BNG's interfaces have the same numbers.
SERVICES = ("S-1", "S-2")
LOGINS = (("s1@example.net", "password-1"), ("s2@example.net", "password-2"))
WAN = (ipaddress.IPv6Network("2001:db8:3000::/64"), ipaddress.IPv6Network("2001:db8:3000:1::/64"))
DELEGATED = ("2001:db8:4001:1101::1", "2001:db8:4001:1201::1")
INTERIM = 160
"""Seconds in which an interim update comes that was begun after now: pppd sends one every 60, on a slow guest later."""
PATIENCE = 60
"""Seconds for what a guest does at once: on a slow machine each of its programs takes a while to start."""


def live(operator: Operator, unit: int) -> Session:
    """The unit's session in the database."""
    service = SERVICES[unit]
    [found] = eventually(
        lambda: [each for each in operator.sessions() if each.service == service], cap=PATIENCE
    )
    return found


def the_same(sessions: list[Session], one: Session) -> list[Session]:
    """The session of one's reference among them."""
    return [each for each in sessions if each.session_ref == one.session_ref]


def both_prefixes_carry_traffic(bng: BngLab, unit: int) -> None:
    """The advertised and the delegated one, and IPv4 beside them: the Internet is the first that ever answers."""
    assert INTERNET_SAYS in bng.first_answer(unit=unit, cap=PATIENCE).body
    [wan] = eventually(lambda: bng.addresses6(unit), cap=PATIENCE)
    assert ipaddress.IPv6Address(wan) in WAN[unit]
    assert bng.delegate(unit, cap=PATIENCE) == DELEGATED[unit]
    # They are said as soon as the session is noted; its routes come with the hook, a moment later.
    eventually(lambda: bng.ping6(wan, unit), cap=PATIENCE)
    eventually(lambda: bng.ping6(DELEGATED[unit], unit), cap=PATIENCE)


def enforced(bng: BngLab, operator: Operator, unit: int, *held: str) -> Session:
    """Exactly these services are held from now on; that ends the unit's session and no other. Returns it, stopped."""
    one = live(operator, unit)
    operator.hold(*held)
    assert operator.enforce(bng) == ["acked"]
    [stopped] = eventually(lambda: the_same(operator.sessions("closed"), one), cap=PATIENCE)
    assert (stopped.cause, stopped.inferred) == ("user-request", False)
    eventually(lambda: not bng.connected(unit), cap=PATIENCE)
    return stopped


def is_held_and_released(bng: BngLab, operator: Operator, unit: int) -> None:
    """A subscriber has both prefixes, no IPv6 at all while held, and both prefixes again once released."""
    bng.dial(*LOGINS[unit], unit, ipv6=True)
    both_prefixes_carry_traffic(bng, unit)

    enforced(bng, operator, unit, SERVICES[unit])
    bng.dial(*LOGINS[unit], unit, ipv6=True)
    assert bng.first_answer(unit=unit, cap=PATIENCE).status == 511
    assert bng.delegate(unit, cap=6) == ""
    assert bng.addresses6(unit) == ()
    # Nor does it help to go on with what there was.
    bng.on_cpe(f"ip -6 address add {DELEGATED[unit]}/128 dev lo; ip -6 route add {INTERNET6} dev ppp{unit}")
    assert not bng.ping6(DELEGATED[unit], unit)

    enforced(bng, operator, unit)
    bng.dial(*LOGINS[unit], unit, ipv6=True)
    both_prefixes_carry_traffic(bng, unit)


def test_a_dual_stack_session_is_accounted_from_start_to_stop_and_loses_ipv6_while_it_is_held(
    bng: BngLab, operator: Operator
):
    """Start, Interim, Stop in the database with their octets; both prefixes carry traffic; held: IPv6 is gone too."""
    need("dhcp6c", apt="wide-dhcpv6-client")
    bng.dial(*LOGINS[0], ipv6=True)
    started = live(operator, 0)  # before its first interim, however slow the rest is
    assert (started.session_time, started.down_octets) == (0, 0)
    both_prefixes_carry_traffic(bng, 0)
    # Nobody speaks for another's prefix.
    bng.on_cpe("ip -6 address add 2001:db8:4001:1200::1/128 dev lo")
    assert not bng.ping6("2001:db8:4001:1200::1")
    bng.on_cpe(f"ping -q -c 40 -i 0.05 -s 1000 {INTERNET6}")

    is_held_and_released(bng, operator, 1)

    [interim] = eventually(
        lambda: [each for each in the_same(operator.sessions(), started) if each.down_octets > 40_000],
        cap=INTERIM,
    )
    assert interim.session_time >= 60
    assert interim.up_octets > 40_000

    stopped = enforced(bng, operator, 0, SERVICES[0])
    assert stopped.session_ref == started.session_ref
    assert stopped.up_octets >= interim.up_octets
    assert stopped.session_time >= interim.session_time
