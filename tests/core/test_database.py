"""Databases: one transaction at the edge, the same on SQLite and PostgreSQL."""

import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from core import clock, migrate
from core.db import (
    Database,
    DatabaseAway,
    DatabaseDamaged,
    DatabaseNotUsable,
    TablesNotThere,
    UtcDateTime,
    is_passing,
    place_of,
    upsert,
)
from core.models import event, lease
from core.settings import SettingNotUsable, Settings


def _lease(name: str, epoch: int = 1) -> dict[str, object]:
    return {"name": name, "owner": "me", "epoch": epoch, "until": clock.now()}


def test_a_block_that_raises_leaves_nothing(database: Database) -> None:
    """All or nothing."""
    with suppress(ValueError), database.write() as conn:
        conn.execute(sa.insert(lease).values(**_lease("a")))
        raise ValueError("no")
    with database.read() as conn:
        assert conn.execute(sa.select(lease)).first() is None


def test_upsert_inserts_or_updates(database: Database) -> None:
    """The second writing of a key changes the named columns only."""
    with database.write() as conn:
        upsert(conn, lease, [_lease("a"), _lease("b")], key=["name"])
        upsert(conn, lease, [_lease("a", 7) | {"owner": "you"}], key=["name"], update=["epoch"])
        upsert(conn, lease, [_lease("b", 9)], key=["name"], update=[])
        rows = {row.name: (row.owner, row.epoch) for row in conn.execute(sa.select(lease))}
    assert rows == {"a": ("me", 7), "b": ("me", 1)}


def test_moments_come_back_aware_and_exact(database: Database) -> None:
    """UTC with microseconds in and out; a naive one is refused."""
    moment = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)
    with database.write() as conn:
        conn.execute(sa.insert(lease).values(**_lease("a") | {"until": moment}))
        assert conn.execute(sa.select(lease.c.until)).scalar() == moment
    with pytest.raises(ValueError, match="no time zone"):
        UtcDateTime().process_bind_param(datetime(2026, 1, 1), database.engine.dialect)  # noqa: DTZ001


def test_concurrent_writers_all_get_through(database: Database) -> None:
    """Readers that then write do not fail at once on SQLite: writers queue."""

    def work(number: int) -> None:
        for turn in range(5):
            with database.write() as conn:
                conn.execute(sa.select(lease)).all()
                conn.execute(sa.insert(lease).values(**_lease(f"{number}-{turn}")))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as conn:
        assert conn.execute(sa.select(sa.func.count()).select_from(lease)).scalar() == 20


def test_upgrading_again_changes_nothing_and_check_agrees(database: Database) -> None:
    """The migrated database is current; an empty one is not."""
    migrate.upgrade(database)
    migrate.check(database)
    with database.read() as conn:
        assert conn.execute(sa.select(event)).first() is None


def test_an_unknown_kind_of_database_is_named() -> None:
    """One sentence says what a URL may be, and repeats no password, wherever it stands."""
    with pytest.raises(DatabaseNotUsable, match="neither sqlite"):
        Database("mysql://somewhere/x")
    with pytest.raises(DatabaseNotUsable) as refused:
        Database("postgres://somewhere/x?user=u&password=hunter2")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("url", ["nonsense hunter2", "", "postgresql+psycopg://u:hunter2@host:port/x"])
def test_a_text_that_is_no_url_is_refused_without_repeating_it(url: str) -> None:
    """What is wrong may stand beside a password."""
    with pytest.raises(DatabaseNotUsable) as refused:
        Database(url)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("roles", ["nosuch", "api,radios", ""])
def test_a_role_that_does_not_exist_is_refused(roles: str, tmp_path: Path) -> None:
    """A node that serves nothing must not say that it serves."""
    with pytest.raises(SettingNotUsable, match="roles"):
        Settings.load(tmp_path, {"TRUNKLINE_ROLES": roles})


def test_a_new_database_is_its_owners_alone(tmp_path: Path) -> None:
    """The home, the file, and what SQLite puts beside it."""
    db = Database(f"sqlite:///{tmp_path / 'home' / 'trunkline.db'}")
    migrate.upgrade(db)
    with db.write() as conn:
        conn.execute(sa.insert(lease).values(**_lease("a")))
        modes = {file.name: file.stat().st_mode & 0o077 for file in (tmp_path / "home").iterdir()}
    assert set(modes) >= {"trunkline.db", "trunkline.db-wal"}
    assert set(modes.values()) == {0}
    assert (tmp_path / "home").stat().st_mode & 0o077 == 0


def test_a_damaged_database_is_named_with_what_to_do(tmp_path: Path) -> None:
    """No fault of ours, but a sentence."""
    file = tmp_path / "trunkline.db"
    file.write_bytes(b"this is no database at all, however long it may be" * 100)
    with (
        pytest.raises(DatabaseDamaged, match=r"trunkline\.db cannot be read.*backup"),
        Database(f"sqlite:///{file}").read(),
    ):
        pass


def test_a_database_without_our_tables_is_told_as_such(database: Database) -> None:
    """A sentence with what makes them, on both databases; whoever waits for a database that is away waits for this."""
    with pytest.raises(DatabaseAway, match="trunkline serve"), database.read() as conn:
        conn.execute(sa.text("SELECT * FROM not_there_at_all"))
    with pytest.raises(sa.exc.DBAPIError), database.read() as conn:
        conn.execute(sa.text("SELECT no sense"))


def test_a_database_that_is_away_is_named_without_password_and_options():
    """Who reads a log wants to know which one it is; how we connect to it is not for them."""
    url = sa.make_url(
        "postgresql+psycopg://tl:hidden@/ours?host=%2Frun%2Fpg&connect_timeout=2&options=-c%20x%3Don"
    )
    assert place_of(url) == "postgresql+psycopg://tl:***@/ours?host=%2Frun%2Fpg"
    assert place_of(sa.make_url("sqlite:////home/x.db")) == "sqlite:////home/x.db"


def test_a_busy_database_is_passing_and_a_missing_table_is_not():
    """What waits for a database says so when it lasts; what nobody mends by waiting is said at once."""
    assert is_passing(DatabaseAway("x", "database is locked"))
    assert is_passing(sa.exc.OperationalError("SELECT", {}, Exception("gone")))
    assert not is_passing(TablesNotThere("x", "no such table"))
    assert not is_passing(ValueError())
