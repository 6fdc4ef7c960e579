"""An installation with sessions and usage is upgraded: what was there is read, merged and enforced as before."""

import re

import pytest
import sqlalchemy as sa
from alembic import command

from aaa.accounting.record import INTERIM, STOP
from aaa.accounting.retention import Kept, retain
from aaa.enforcement import stale_sessions
from aaa.models import session, session_history
from aaa.view.models import ensure
from core import migrate
from core.clock import now
from core.db import Database
from tests.aaa.test_accounting import record, stored, usage, write
from tests.support import ROOT

OLD = {
    "session_ref": "ses_1", "nas": "bng1", "acct_session_id": b"0001", "started_at": "2025-11-20 12:00:00",
    "service": "S-1", "policy_hash": "p1", "stale": False, "state": "open", "inferred": False,
    "source": "127.0.0.1", "login": "a", "calling": "", "framed_address": "100.64.0.7", "framed_prefix": "",
    "delegated_prefix": "", "nas_port": 0, "nas_port_id": "", "updated_at": "2025-11-20 12:01:00", "cause": "",
    "session_time": 60, "up_octets": 5, "down_octets": 7, "gigawords": True, "interim": 300,
}  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def old(request, tmp_path):
    """A database of the time before limits, history, blocks and moving, with a session in it."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'old.db'}"
    else:
        cluster = request.getfixturevalue("postgres")
        cluster.sql("DROP DATABASE IF EXISTS upgraded WITH (FORCE)")
        cluster.sql("CREATE DATABASE upgraded")
        url = cluster.url("upgraded")
    db = Database(url)
    with db.write() as conn:
        command.upgrade(migrate._config(conn), "aaa_0002")
        names = ", ".join(OLD)
        conn.execute(
            sa.text(f"INSERT INTO session ({names}) VALUES ({', '.join(f':{name}' for name in OLD)})"), OLD
        )
        conn.execute(sa.text("INSERT INTO usage_day VALUES ('S-1', '2025-11-20', 5, 7)"))
    yield db
    db.close()


BEFOREHAND = re.search(
    r"```sql\n(SET maintenance.*?)```", (ROOT / "docs/howto/deploy.md").read_text(), re.DOTALL
)
TABLES = "('session', 'radius_session', 'usage_day')"
INDEXES = f"SELECT indexdef FROM pg_indexes WHERE tablename IN {TABLES} ORDER BY indexname"
THERE = "SELECT indexrelid FROM pg_index WHERE indrelid = '{}'::regclass"
PACKED = (
    f"SELECT relname, reloptions FROM pg_class WHERE relkind = 'r' AND relname IN {TABLES} ORDER BY relname"
)


@pytest.fixture
def before(postgres):
    """A PostgreSQL database that has not had aaa_0004, with a session in it."""
    postgres.sql("DROP DATABASE IF EXISTS beforehand WITH (FORCE)")
    postgres.sql("CREATE DATABASE beforehand")
    db = Database(postgres.url("beforehand"))
    with db.write() as conn:
        command.upgrade(migrate._config(conn), "aaa_0003")
        names = ", ".join(OLD)
        conn.execute(
            sa.text(f"INSERT INTO session ({names}) VALUES ({', '.join(f':{name}' for name in OLD)})"), OLD
        )
    yield db
    db.close()


def asked(db: Database, *statements: str) -> list[list[tuple[object, ...]]]:
    with db.read() as conn:
        return [[tuple(row) for row in conn.exec_driver_sql(one)] for one in statements]


@pytest.mark.parametrize("interrupted", [False, True])
def test_indexes_that_were_made_beforehand_are_taken_over(before, postgres, interrupted):
    """The statements of the upgrade's page, run twice while the old program goes on: the migration builds none of them
    again, and what comes out is a new installation's. One that was interrupted is built by the migration.
    """
    assert BEFOREHAND is not None
    with before.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        for statement in BEFOREHAND[1].split(";\n") * 2:
            conn.exec_driver_sql(statement) if statement else None
        if interrupted:
            conn.exec_driver_sql(
                "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_session_of_nas'::regclass"
            )
    made = asked(before, THERE.format("session"))
    migrate.upgrade(before)
    with postgres.fresh_database() as url:
        fresh = Database(url)
        assert asked(before, INDEXES, PACKED) == asked(fresh, INDEXES, PACKED)
        fresh.close()
    assert len(set(asked(before, THERE.format("radius_session"))[0]) - set(made[0])) == interrupted


def test_a_database_that_was_packed_closer_is_packed_like_a_new_one(before, postgres):
    """aaa_0004 once left a quarter of every page free, and leaves half now."""
    with before.write() as conn:
        command.upgrade(migrate._config(conn), "aaa_0004")
        for table in ("session", "usage_day"):
            conn.exec_driver_sql(f"ALTER TABLE {table} SET (fillfactor = 75)")
    migrate.upgrade(before)
    with postgres.fresh_database() as url:
        fresh = Database(url)
        assert asked(before, PACKED) == asked(fresh, PACKED)
        fresh.close()
    assert "fillfactor=50" in str(asked(before, PACKED))


def test_a_session_from_before_an_upgrade_goes_on(old, tmp_path):
    """Its interim is merged, enforcement reads it, a second session finds it, and it becomes history."""
    migrate.upgrade(old)
    index = Database(f"sqlite:///{tmp_path / 'index.db'}", durable=False)
    ensure(index)
    (found,) = stale_sessions(old, index)
    assert (found.session.circuit, found.wanted_hash) == (b"", "gone")
    write(old, record(INTERIM, 120, up=9, down=9), record(INTERIM, 60, session_id=b"2", reject=True, most=1))
    assert usage(old) == {("S-1", "2025-11-20"): (9, 9)}
    assert [row.acct_session_id for row in stored(old) if row.stale] == [b"0001", b"2"]
    write(old, record(STOP, 180, up=9, down=9), record(STOP, 180, session_id=b"2"))
    assert retain(old, Kept(1, 0, 0, 0, 0, 0), now())
    with old.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(session)) == 0
        addresses = conn.scalars(sa.select(session_history.c.framed_address)).all()
    assert sorted(addresses) == ["", "100.64.0.7"]
    index.close()
