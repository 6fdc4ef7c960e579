"""How a worker keeps up and what is on disk: the probe, the log, compaction beside the answering, a rebuilt view."""

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from aaa.view import overlay
from aaa.view.base import Base, write_base
from aaa.view.compact import main as compact
from aaa.view.disk import Disk
from aaa.view.follower import Follower
from aaa.view.lookup import View, log_path, snapshot
from aaa.view.models import ensure, put_state, view_change, view_record
from aaa.view.probe import Probe
from core.db import Database
from tests.aaa.network import settings_in
from tests.support import eventually


@pytest.fixture
def derived(database: Database) -> Database:
    """A derived database with a built, empty view."""
    ensure(database)
    with database.write() as conn:
        put_state(conn, "index_seq", "1")
    return database


def write(db: Database, number: int, record: bytes | None) -> None:
    """One change of a record, as the builder would write it."""
    key = b"u:%06d" % number
    with db.write() as conn:
        conn.execute(sa.delete(view_record).where(view_record.c.key == key))
        if record is not None:
            conn.execute(sa.insert(view_record).values(key=key, owner="service:S", record=record))
        conn.execute(sa.insert(view_change).values(key=key))


def test_an_idle_worker_asks_no_table(derived):
    """While nobody writes, a look moves nothing; on SQLite it is not even a query of a table."""
    probe = Probe(derived)
    assert probe.moved()
    seen: list[str] = []
    sa.event.listen(derived.engine, "before_cursor_execute", lambda *told: seen.append(told[2]))
    assert not any(probe.moved() for _look in range(5))
    assert len(seen) == (0 if derived.is_sqlite else 5)
    write(derived, 1, b"one")
    assert probe.moved()
    assert not probe.moved()
    probe.close()


def test_a_view_that_is_built_again_moves_the_probe(derived):
    """Another generation is something new even when its sequence is the same."""
    probe = Probe(derived)
    probe.moved()
    with derived.write() as conn:
        put_state(conn, "generation", "another")
    assert probe.moved()
    probe.close()


def test_base_and_log_together_are_the_next_base(tmp_path):
    """Compaction keeps, replaces, adds and deletes; keys stay sorted, the sequence is the log's last."""
    write_base(tmp_path / "view.base", [(b"b", b"1"), (b"d", b"2"), (b"f", b"3")], 4, "gen")
    with Base(tmp_path / "view.base") as base:
        changes = [
            (5, b"a", b"new"),
            (6, b"d", b"other"),
            (7, b"f", None),
            (8, b"x", None),
            (9, b"z", b"last"),
        ]
        overlay.append(log_path(tmp_path, base), changes)
    compact(tmp_path)
    with Base(tmp_path / "view.next") as fresh:
        assert list(fresh.items()) == [(b"a", b"new"), (b"b", b"1"), (b"d", b"other"), (b"z", b"last")]
        assert (fresh.seq, fresh.generation) == (9, "gen")


def test_a_grown_log_is_compacted_beside_the_answering(derived, tmp_path):
    """Changes go on while the next base is written; whenever a node starts from the folder, it knows them all."""
    for number in range(20):
        write(derived, number, b"old")
    snapshot(derived, tmp_path)
    view, disk = View.load(tmp_path), Disk(tmp_path, compact_at=10)
    for number in range(15):
        write(derived, number, b"new" if number % 3 else None)
    disk.keep(derived, view.follow(derived))
    write(derived, 30, b"meanwhile")
    disk.keep(derived, view.follow(derived))
    assert knows(tmp_path) == whole(view)
    eventually(disk.settle, cap=20)
    assert knows(tmp_path) == whole(view)
    with Base(tmp_path / "view.base") as base:
        assert base.count == 15 + (base.seq == view.seq)
        assert [path for path in tmp_path.glob("view.*.log") if path != log_path(tmp_path, base)] == []
    view.rebase(tmp_path)
    assert knows(tmp_path) == whole(view)
    assert len(view._over) <= 1
    disk.close()


def test_a_node_that_dies_while_it_compacts_starts_from_what_was_there(derived, tmp_path):
    """A next base that nobody put in place is nothing: base and log still say everything."""
    write(derived, 1, b"old")
    snapshot(derived, tmp_path)
    view, disk = View.load(tmp_path), Disk(tmp_path)
    write(derived, 1, b"new")
    disk.keep(derived, view.follow(derived))
    compact(tmp_path)
    assert knows(tmp_path) == [(b"u:000001", b"new")]


def test_a_view_that_was_built_again_is_mapped_not_copied(derived, tmp_path):
    """After a rebuild the keeper writes a base and every worker maps it; their own memory holds nothing of it."""
    node = settings_in(tmp_path)
    folder = tmp_path / "radius" / "view"
    for number in range(50):
        write(derived, number, b"old")
    snapshot(derived, folder)
    views = [View.load(folder), View.load(folder)]
    told: list[bytes] = []
    views[1].on_change(lambda key, _record: told.append(key))
    followers = [
        Follower(node, view, f"node1-{index}", threading.Event(), keeper=index == 0)
        for index, view in enumerate(views)
    ]
    with derived.write() as conn:
        put_state(conn, "generation", "another")
        conn.execute(sa.insert(view_record).values(key=b"n:192.0.2.1", owner="device:bng1", record=b"nas"))
        conn.execute(sa.delete(view_record).where(view_record.c.key == b"u:000007"))
    probes = [Probe(derived) for _follower in followers]
    # The keeper is late: the other one waits, and answers from what it knows.
    followers[1].turn(derived, probes[1])
    assert (views[1].generation != "another", views[1].lookup(b"u:000007")) == (True, b"old")
    for follower, probe in zip(followers, probes, strict=True):
        follower.turn(derived, Probe(derived))
        probe.close()
    for view in views:
        assert view.generation == "another"
        assert view.lookup(b"u:000007") is None
        assert view.lookup(b"n:192.0.2.1") == b"nas"
        assert view._over == {}
    assert told == [b"n:192.0.2.1"]


def whole(view: View) -> list[tuple[bytes, bytes]]:
    return sorted(view.items(b"u:"))


def knows(folder: Path) -> list[tuple[bytes, bytes]]:
    """What a node that starts now would know."""
    return whole(View.load(folder))
