"""Accepted logins that are written down: on both databases, by the short and the careful way, only where asked for."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import sqlalchemy as sa

from aaa.models import accepted_login
from aaa.radius import accepted
from aaa.radius.accepted import Accepted, last_accepted
from aaa.radius.server import RadiusServer
from core.db import Database
from tests.aaa.conftest import QUICK, client_of
from tests.aaa.network import SECRET
from tests.aaa.test_radius_command import ask
from tests.support import eventually


def written(database: Database) -> list[tuple[str, str]]:
    with database.read() as conn:
        rows = conn.execute(sa.select(accepted_login).order_by(accepted_login.c.seq))
        return [(row.login, row.nas) for row in rows]


def test_what_was_noted_is_written_in_its_order(database):
    """Octets that are no text, NUL, tabs and backslashes come as text; the moment is that of the login; once."""
    log, before = Accepted(), datetime.now(UTC)
    for login in (b"ann", b"b\0ob", b"\xff\xfe", "V-1", b"tab\tand\\back\nline", b"x" * 253):
        log.note(login, "bng1")
    assert log.flush(database) == 6
    assert log.flush(database) == 0
    names = ["ann", "bob", "��", "V-1", "tab\tand\\back\nline", "x" * 253]
    assert written(database) == [(name, "bng1") for name in names]
    with database.read() as conn:
        (one,) = last_accepted(conn, "ann")
    assert str(before - timedelta(seconds=1)) < str(one["at"]) <= str(datetime.now(UTC))


def test_what_could_not_be_written_waits_and_the_oldest_make_room(database, monkeypatch):
    """An error keeps all rows for the next time; beyond the room in memory the oldest go, and are counted."""
    monkeypatch.setattr(accepted, "_KEPT", 3)
    log = Accepted()
    for number in range(5):
        log.note(f"s{number}", "bng1")
    with database.write() as conn:
        conn.execute(sa.text("ALTER TABLE accepted_login RENAME TO elsewhere"))
    with pytest.raises(Exception, match="accepted_login"):
        log.flush(database)
    with database.write() as conn:
        conn.execute(sa.text("ALTER TABLE elsewhere RENAME TO accepted_login"))
    assert log.flush(database) == 3
    assert written(database) == [(f"s{number}", "bng1") for number in (2, 3, 4)]
    assert log.lost == 2


def test_a_server_writes_down_who_is_let_in_where_the_settings_ask_for_it(node, recorded):
    """PAP by the short way, and without Message-Authenticator by the careful one; a wrong password is no login."""
    asked = msgspec.structs.replace(node, radius_log_logins=True)
    with RadiusServer(asked, limits=QUICK, in_process=True) as server:
        client = client_of(server)
        assert client.login("s1@example.net", "pw-1").accepted
        assert not client.login("s1@example.net", "wrong").accepted
        assert client.login("s1@example.net", "pw-1").accepted  # failed before: the careful way
        client.close()
        assert eventually(lambda: len(written(recorded)) == 2, cap=5)
    assert written(recorded) == [("s1@example.net", "bng1")] * 2
    told = ask(node, "explain", "s1@example.net").stdout
    assert told.count("let in ") == 2
    assert SECRET.decode() not in told


def test_without_the_setting_nothing_is_written_down(server, nas, recorded):
    """Refusals are there, logins are not."""
    assert nas().login("s1@example.net", "pw-1").accepted
    assert not nas().login("s1@example.net", "wrong").accepted
    from aaa.radius.refusals import last_refusals

    def refused() -> bool:
        with recorded.read() as conn:
            return bool(last_refusals(conn, "s1@example.net"))

    assert eventually(refused, cap=5)
    assert written(recorded) == []
