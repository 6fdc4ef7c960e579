"""An installation with sessions and usage is upgraded: what was there is read, merged and enforced as before."""

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
    assert retain(old, Kept(1, 0, 0, 0, 0), now())
    with old.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(session)) == 0
        addresses = conn.scalars(sa.select(session_history.c.framed_address)).all()
    assert sorted(addresses) == ["", "100.64.0.7"]
    index.close()
