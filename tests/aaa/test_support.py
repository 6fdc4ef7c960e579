"""What support asks: test-login, explain, sessions; and the check of a vendor's name."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from aaa.checks import nas_vendor, rates
from aaa.health import Logins, count_logins, forget_logins, live_sessions, logins
from aaa.support import LoginNotKnown, NasNotKnown, explain, sessions, try_login
from aaa.view.lookup import View
from aaa.view.seal import Seal
from core import clock
from intents.checks import Scope
from tests.aaa.network import PLAN, Network, write_snapshot
from tests.aaa.test_accounting import record, write
from tests.support import eventually


@pytest.fixture
def view(node, network):
    """The node's snapshot, with S-2 blocked and S-3 bound to its circuit."""
    network.hold("S-2", "abuse", "block")
    network.subscriber(
        3, session='method: pppoe, login: s3@example.net, password: "enc:v1:pw-3", bind: [circuit]'
    )
    write_snapshot(network, node)
    return View.load(node.home / "radius" / "view")


@pytest.fixture
def seal(node):
    """The node's view key."""
    return Seal.of(node.home)


def test_a_login_is_tried_as_the_nas_would(view, seal):
    """The server's own code answers: accepted with attributes; with a wrong password or held, refused and why."""
    trial = try_login(view, seal, "s1@example.net")
    assert (trial.accepted, trial.nas) == (True, "bng1")
    assert "Mikrotik-Rate-Limit = 50000000/500000000" in trial.attributes
    assert "Filter-Id = 500000/50000" in try_login(view, seal, "s1@example.net", "bng2").attributes
    assert try_login(view, seal, "s1@example.net", password="x").reason == "wrong-credentials"
    assert try_login(view, seal, "s2@example.net").reason == "held"
    assert try_login(view, seal, "S-3").accepted
    with pytest.raises(LoginNotKnown):
        try_login(view, seal, "nobody@example.net")
    with pytest.raises(NasNotKnown, match="bng1, bng2"):
        try_login(view, seal, "s1@example.net", "bng9")


def test_explain_says_service_holds_binding_and_replies(view, seal):
    """Everything that decides a login, by login or service id; never the password."""
    found = explain(view, seal, "s2@example.net")
    assert (found.service, found.status, found.holds) == ("S-2", "held", ["S-2.abuse"])
    assert explain(view, seal, "S-2") == found
    assert explain(view, seal, "s3@example.net").bound_circuits == ["olt1 xpon 0/1/0:3.eth1"]
    assert found.has_password
    assert "pw-2" not in repr(found)


def test_sessions_are_listed(database):
    """By service, NAS and staleness; closed ones on request."""
    write(database, record(1), record(1, session_id=b"2", service="S-2", nas="bng2", wanted_hash="p2"))
    write(database, record(2, 60))
    with database.read() as conn:
        assert [one.service for one in sessions(conn)] == ["S-2"]
        assert [one.service for one in sessions(conn, stale=True)] == ["S-2"]
        assert sessions(conn, nas="bng1") == []
        assert [one.service for one in sessions(conn, nas="bng1", closed=True)] == ["S-1"]


def test_a_vendor_without_a_table_is_a_mistake_with_its_nearest_name():
    """`mikrotk` is refused, and mikrotik is offered."""
    network = Network()
    network.bng("bng1", "mikrotk", "127.0.0.1")
    (finding,) = nas_vendor(network.reader(), Scope())
    assert (finding.id, finding.field, finding.hint) == ("bng1", ("nas", "vendor"), "did you mean mikrotik?")


@pytest.mark.parametrize(("vendor", "warned"), [("huawei", True), ("ubiquiti", True), ("mikrotik", False)])
def test_a_plan_that_a_vendor_cannot_be_told_is_a_warning(vendor, warned):
    """10 Gbit/s is more than 32 bits; who tells speeds as text has no such end, and 4 Gbit/s is no matter."""
    network = Network()
    network.bng("bng1", vendor, "127.0.0.1")
    network.put("plan", "ten", PLAN % {"down": "10G", "up": "1G"})
    network.put("plan", "four", PLAN % {"down": "4G", "up": "4G"})
    found = [(one.id, one.severity, vendor in one.message) for one in rates(network.reader(), Scope())]
    assert found == ([("ten", "warning", True)] if warned else [])


def test_a_fixed_ipv6_address_is_sent_and_with_slaac_its_prefix(node, network, anew):
    """DHCPv6 is told the address (RFC 6911), SLAAC the /64 around it (RFC 3162); in the garden neither."""
    seen = {}
    for number, words in ((5, "wan: dhcp"), (6, "wan: slaac"), (7, "wan: dhcp")):
        network.subscriber(number)
        name = f"S-{number}"
        text = re.sub(r"(?m)^ipv6:.*\n", "", network.texts["service", name])
        network.put("service", name, f'{text}\nipv6: {{{words}, address: "2001:db8:9::{number}"}}\n')
    network.hold("S-7", "nonpayment", "walled-garden")
    _server, client = anew(network)
    for number in (5, 6, 7):
        reply = client.login(f"s{number}@example.net", f"pw-{number}")
        seen[number] = [line for line in reply.attributes if "IPv6-Address" in line or "IPv6-Prefix" in line]
    assert seen == {
        5: ["Framed-IPv6-Address = 2001:db8:9::5"],
        6: ["Framed-IPv6-Prefix = 2001:db8:9::/64"],
        7: [],
    }


def test_logins_and_live_sessions_are_counted_by_nas(database):
    """Counts of workers add up by minute; the rate is of the asked span; without a login there is none."""
    noon = datetime(2025, 11, 20, 12, tzinfo=UTC)
    with database.write() as conn:
        for second in (5, 50, 65):
            counted = {("bng1", True): 9, ("bng1", False): 1, ("bng2", False): 2}
            count_logins(conn, counted, noon + timedelta(seconds=second))
    write(database, record(1), record(1, nas="bng2", session_id=b"2", service="S-2"))
    minute = timedelta(minutes=1)
    with database.read() as conn:
        assert logins(conn, noon, noon + minute, "bng1") == Logins(18, 2)
        assert logins(conn, noon, noon + 2 * minute, "bng1").rate == 0.9
        assert logins(conn, noon, noon + minute) == Logins(18, 6)
        assert logins(conn, noon - minute, noon).rate is None
        assert live_sessions(conn) == {"bng1": 1, "bng2": 1}
    with database.write() as conn:
        assert forget_logins(conn, noon + timedelta(days=9)) == 4


def test_a_server_counts_its_logins(server, nas, recorded):
    """What a worker accepted and refused is in the database a few seconds later."""
    client = nas()
    client.login("s1@example.net", "pw-1")
    client.login("s1@example.net", "wrong")

    def counted() -> Logins | None:
        now = clock.now()
        with recorded.read() as conn:
            found = logins(conn, now - timedelta(minutes=2), now + timedelta(minutes=1), "bng1")
        return found if found.accepted else None

    assert eventually(counted, cap=12) == Logins(1, 1)
