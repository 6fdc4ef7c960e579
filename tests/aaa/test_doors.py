"""A radio line with a session at its AP and one at its BNG: what is counted, and how many there may be."""

import struct
from typing import Any

import pytest
import sqlalchemy as sa

from aaa.accounting import postgres, store
from aaa.accounting.record import INTERIM, ON, START, STOP, AccountingRecord
from aaa.limits.limit import AT_DOOR, BEHIND, FULL, Limit, Limits
from aaa.models import usage_change
from aaa.radius.packet import pair
from aaa.view.records import Access, class_of, mac_key
from core.db import Database
from tests.aaa.differential import Three
from tests.aaa.limited import Limited
from tests.aaa.network import PLAN, SECRET, Network
from tests.aaa.test_accounting import record, stored, usage, write
from tests.aaa.test_accounting_quick import bare

AT = {"ap1": "127.0.0.3", "bng1": "127.0.0.1"}
DAY = "2025-11-20"
SAME_LOGIN = 'method: pppoe, login: L-7, password: "enc:v1:air-7"'


def heard(network: Network, nas: str, kind: int, minute: int, octets: int = 0) -> AccountingRecord:
    """What a worker reads of a NAS's record with S-7's Class, as it came at a moment of the tests' day."""
    numbers = {40: kind, 42: octets, 43: octets, 46: 60 * minute, 52: 0, 53: 0}
    body = pair(44, b"of " + nas.encode()) + pair(1, b"L-7") + class_of("S-7", "p1")
    body += b"".join(pair(key, struct.pack(">I", value)) for key, value in numbers.items())
    read = Three(network).answers.accounting(bare(body), AT[nas])
    assert read is not None
    assert read[0] is not None
    moment = record(kind, 60 * minute)
    fields = {"at": moment.at, "policy_hash": "p1", "wanted_hash": "p1"}
    return AccountingRecord(**{name: getattr(read[0], name) for name in read[0].__struct_fields__} | fields)


@pytest.mark.parametrize("session", ["method: ipoe", SAME_LOGIN])
def test_what_passes_the_ap_and_the_bng_is_used_once(database, network, session):
    """Both account the same service, over IPoE or with one login for both: the day has the BNG's octets, and each
    session has its own.
    """
    network.radio(7, session=session)
    for kind, minute, octets in ((START, 0, 0), (INTERIM, 10, 1000), (INTERIM, 20, 3000), (STOP, 30, 4000)):
        for nas in AT:
            write(database, heard(network, nas, kind, minute, octets))
    assert usage(database) == {("S-7", DAY): (4000, 4000)}
    assert [(row.nas, row.state, row.up_octets) for row in stored(database)] == [
        ("ap1", "closed", 4000), ("bng1", "closed", 4000),
    ]  # fmt: skip


@pytest.mark.parametrize("session", ["method: ipoe", SAME_LOGIN])
def test_a_quota_counts_what_passes_the_ap_and_the_bng_once(database, network, session):
    """Fair use and prepaid credit get the octets and the seconds of the BNG's session alone."""
    network.radio(7, session=session)
    plan = PLAN % {"down": "100M", "up": "20M"} + "fair-use: {quota: 1T, then: {down: 1M, up: 1M}}\n"
    network.put("plan", "fibre-100", plan)
    for nas in AT:
        write(database, heard(network, nas, START, 0), heard(network, nas, INTERIM, 10, 1000))
        write(database, heard(network, nas, STOP, 30, 4000))
    with database.read() as conn:
        rows = conn.execute(sa.select(usage_change)).all()
    assert (sum(row.up_octets for row in rows), sum(row.seconds for row in rows)) == (4000, 1800)


@pytest.mark.parametrize("without", ["bng", "ap"])
def test_an_ap_or_a_bng_that_accounts_alone_is_counted(database, network, without):
    """Where the edge's BNGs are no NASes, the AP's session is the only one; where the AP is none, the BNG's."""
    network.radio(7)
    nas = "bng1" if without == "ap" else "ap1"
    for device in ("bng1", "bng2") if without == "bng" else ("ap1",):
        text = network.texts["device", device]
        network.put("device", device, text[: text.index("nas:")])
    write(database, heard(network, nas, START, 0), heard(network, nas, INTERIM, 10, 1000))
    assert usage(database) == {("S-7", DAY): (1000, 1000)}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("kind", [INTERIM, STOP])
def test_postgresql_takes_an_aps_usual_record_itself(database, kind):
    """Its octets are the session's, not the service's; those of the BNG in the same statement are both."""
    known: dict[str, Any] = {"door": "ap1", "service": "S-7"}
    with database.write() as conn:
        store.write(conn, [record(START, nas=nas, **known) for nas in AT])
    with database.write() as conn:
        conn.begin() if not conn.in_transaction() else None
        assert postgres.take(conn, [record(kind, 60, 5, 6, nas=nas, **known) for nas in AT]) == ([], [])
    assert [row.up_octets for row in stored(database)] == [5, 5]
    assert usage(database) == {("S-7", DAY): (5, 6)}


CPE, ROUTER = "02-00-5E-10-00-07", "00:11:22:33:44:0a"
REJECT = "method: ipoe, over: reject"


@pytest.fixture
def limited(database, tmp_path, network):
    """S-7 over a radio line, one session, refused beyond that."""
    network.radio(7, session=REJECT)
    made = Limited(database, Database(f"sqlite:///{tmp_path / 'index.db'}"), network)
    yield made
    made.derived.close()


def dialled(
    limited: Limited, nas: str, kind: int, after: int, calling: str = CPE, name: bytes = b"1"
) -> None:
    """A record of S-7's session at a NAS, as a worker reads it."""
    known: dict[str, Any] = {"service": "S-7", "door": "ap1", "reject": True, "calling": calling, "nas": nas}
    write(limited.recorded, record(kind, after, session_id=name, session_time=0, **known))
    limited.settle()


def held(limited: Limited) -> list[tuple[str, str, bool]]:
    return [(row.nas, row.state, row.stale) for row in stored(limited.recorded)]


def statuses(limited: Limited) -> tuple[str, str]:
    """For a login at the AP, and for one at a BNG."""
    at_bng: Access = limited.record(mac_key(CPE) or b"", Access)
    return limited.access("L-7").status, at_bng.status


@pytest.mark.parametrize("first", ["ap1", "bng1"])
@pytest.mark.parametrize("calling", [CPE, ROUTER])
def test_a_session_at_the_ap_is_no_ghost_of_that_at_the_bng_and_fills_nothing_there(limited, first, calling):
    """In either order, with one MAC or two: both live, none is marked; and each side is full by its own."""
    at = {"ap1": CPE, "bng1": calling}
    second = next(nas for nas in at if nas != first)
    dialled(limited, first, START, 0, at[first])
    assert statuses(limited) == (("full", "ok") if first == "ap1" else ("ok", "full"))
    dialled(limited, second, START, 10, at[second])
    assert sorted(held(limited)) == [("ap1", "open", False), ("bng1", "open", False)]
    assert statuses(limited) == ("full", "full")
    assert limited.rows() == limited.cold()
    dialled(limited, second, STOP, 20, at[second])
    assert statuses(limited) == (("full", "ok") if first == "ap1" else ("ok", "full"))


def test_a_ghost_at_either_side_is_replaced_there(limited):
    """The CPE comes back at the AP while its session there is open, and so does the router at the BNG."""
    for after in (0, 10, 20):
        for nas, calling in (("ap1", CPE), ("bng1", ROUTER)):
            dialled(limited, nas, START, 600 * after, calling, b"%d" % after)
    for nas in AT:
        states = [(state, stale) for one, state, stale in held(limited) if one == nas]
        assert states == [("closed", False), ("closed", False), ("open", False)]


def test_a_bng_that_restarts_frees_its_side_alone(limited):
    """Its Accounting-On ends the BNG's session without a record: a slow pass lifts that side, the AP's stays."""
    dialled(limited, "ap1", START, 0)
    dialled(limited, "bng1", START, 10, ROUTER)
    write(limited.recorded, record(ON, 900, service="", nas="bng1"))
    limited.settle()
    assert statuses(limited) == ("full", "ok")
    assert [limit.data["sides"] for limit in limited.limits().of("S-7") if limit.cause == FULL] == [[AT_DOOR]]
    write(limited.recorded, record(ON, 900, service="", nas="ap1"))
    limited.settle()
    assert statuses(limited) == ("ok", "ok")
    assert BEHIND not in str(limited.limits())


def test_a_cpe_logs_in_at_its_ap_by_mac_while_its_router_is_at_the_bng(anew, network):
    """One record for both sides where the AP asks by MAC: the BNG is full, its AP is not."""
    network.radio(7, auth="mac", session=REJECT)
    limit = Limit("S-7", FULL, "full", data={"live": [], "most": 1, "door": "ap1", "sides": [BEHIND]})
    server, client = anew(network, Limits({"S-7": (limit,)}))
    at_ap = type(client)("127.0.0.1", server.auth_port, server.acct_port, SECRET, AT["ap1"])
    assert at_ap.login("02005e100007", "02005e100007", attributes=pair(31, CPE.encode()), ppp=False).accepted
    at_ap.close()
