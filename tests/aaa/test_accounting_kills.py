"""The kill matrix of accounting: SIGKILL at every fault point; every acknowledged record is there exactly once."""

import sqlite3
import struct
import time

import pytest
import sqlalchemy as sa

from aaa.accounting import commit, journal, store
from aaa.models import session, usage_day
from aaa.radius.exchange import RadiusClient
from aaa.radius.packet import pair
from aaa.view.records import class_of
from tests.aaa.child import Child
from tests.aaa.network import SECRET
from tests.aaa.test_accounting import record, stored, write
from tests.support import eventually, free_port

WITH_DATABASE = [commit.BEFORE_COMMIT, commit.IN_TRANSACTION, commit.AFTER_COMMIT, commit.AFTER_REPLY]
WITHOUT_DATABASE = [journal.BEFORE_SYNC, journal.AFTER_SYNC, journal.DURING_DRAIN, journal.DRAINED]
AT_RESTART = [commit.CLOSING]
CALLS, OCTETS = 8, 1000


def body(call: int, kind: int) -> bytes:
    """Start or Stop of one call of S-1."""
    found = pair(40, struct.pack(">I", kind)) + pair(44, b"call-%d" % call) + pair(1, b"s1@example.net")
    found += class_of("S-1", "p") + pair(46, struct.pack(">I", 0 if kind == 1 else 60))
    return found + (
        pair(42, struct.pack(">I", OCTETS)) + pair(43, struct.pack(">I", OCTETS)) if kind == 2 else b""
    )


class Caller:
    """Sends until acknowledged, like a NAS, starting the server again when it was killed."""

    def __init__(self, home, fault: str) -> None:
        self.home = home
        self.auth, self.acct = free_port(), free_port()
        self.deaths = 0
        self.child = Child(home, self.auth, self.acct, fault=fault)
        self.client = RadiusClient("127.0.0.1", self.auth, self.acct, SECRET, patience=0.4, attempts=2)

    def account(self, call: int, kind: int) -> None:
        for _attempt in range(40):
            if self.client.account(body(call, kind)) is not None:
                return
            self.revive()
        pytest.fail(f"call {call} was never acknowledged\n{(self.home / 'server.log').read_text()[-2000:]}")

    def revive(self) -> None:
        if not self.child.alive:
            self.deaths += 1
            self.child.end()
            self.child = Child(self.home, self.auth, self.acct)

    def end(self) -> None:
        self.client.close()
        self.child.end()


@pytest.mark.parametrize("passage", [1, 2])
@pytest.mark.parametrize("point", AT_RESTART)
def test_killed_while_closing_a_nas_that_restarted_nothing_stays_open(node, recorded, point, passage):
    """Killed before the answer, or behind it when the journal has the rest: no session of before is left, and one that
    began since is not touched.
    """
    now, many = time.time(), 2 * store.AT_ONCE + 1
    for start in range(0, many, 500):
        some = range(start, min(start + 500, many))
        write(recorded, *(record(1, at=now - 60, session_id=b"%d" % n, service=f"S-{n}") for n in some))
    write(recorded, record(1, at=now + 60, session_id=b"new", service="S-new"))
    caller = Caller(node.home, f"{point}:{passage}:kill")
    try:
        for _attempt in range(40):
            if caller.client.account(pair(40, struct.pack(">I", 7))) is not None:
                break
            caller.revive()

        def closed() -> bool:
            caller.revive()
            return [row.acct_session_id for row in stored(recorded) if row.state == "open"] == [b"new"]

        eventually(closed, cap=30, says=lambda: (node.home / "server.log").read_text()[-2000:])
    finally:
        caller.end()
    assert caller.deaths == 1


def check(recorded, calls: int) -> None:
    """Every call is one closed session, and its octets were counted once."""
    with recorded.read() as conn:
        rows = conn.execute(sa.select(session)).all()
        used = conn.execute(
            sa.select(sa.func.sum(usage_day.c.up_octets), sa.func.sum(usage_day.c.down_octets))
        ).one()
    assert sorted(row.acct_session_id for row in rows) == sorted(b"call-%d" % call for call in range(calls))
    assert {(row.state, row.inferred) for row in rows} == {("closed", False)}
    assert tuple(used) == (calls * OCTETS, calls * OCTETS)


@pytest.mark.parametrize("point", WITH_DATABASE)
def test_killed_while_committing_nothing_is_lost_or_counted_twice(node, recorded, point):
    """Killed around a commit: what was acknowledged is there once, what was not is sent again and is there once."""
    caller = Caller(node.home, f"{point}:5:kill")
    try:
        for call in range(CALLS):
            caller.account(call, 1)
            caller.account(call, 2)
        caller.revive()
    finally:
        caller.end()
    assert caller.deaths == 1
    check(recorded, CALLS)


@pytest.mark.parametrize("point", WITHOUT_DATABASE)
def test_killed_while_journalling_or_draining_nothing_is_lost_or_counted_twice(node, recorded, point):
    """The database is locked away: records are acknowledged from the synced journal and drained once, killed or not."""
    caller = Caller(node.home, f"{point}:1:kill")
    lock = sqlite3.connect(node.home / "trunkline.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        for call in range(3):
            caller.account(call, 1)
            caller.account(call, 2)
        lock.rollback()
        folder = node.home / "radius" / "journal"

        def drained() -> bool:
            caller.revive()
            return not list(folder.glob("*.journal"))

        eventually(drained, cap=30, says=lambda: (node.home / "server.log").read_text()[-2000:])
    finally:
        lock.close()
        caller.end()
    assert caller.deaths == 1
    check(recorded, 3)
