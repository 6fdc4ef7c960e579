"""`trunkline radius limits`: what support reads of a service's quotas."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from aaa.limits import quota
from aaa.limits.limit import VOUCHER
from aaa.limits.quota import Use, grant
from aaa.models import quota_grant
from cli.commands.radius import app
from core.db import Database
from core.settings import Settings
from tests.world import World

OPENED = datetime(2000, 1, 1, tzinfo=UTC)
NOON = datetime(2025, 11, 20, 12, tzinfo=UTC)
END = datetime(2025, 12, 20, 12, tzinfo=UTC)


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """The database of a home that the command opens."""
    world = World(tmp_path / "home")
    world.one.settle()
    world.close()
    monkeypatch.setenv("TRUNKLINE_HOME", str(tmp_path / "home"))
    db = Database(Settings.there(tmp_path / "home").database_url)
    yield db
    db.close()


def limits(service: str) -> list[str]:
    done = CliRunner().invoke(app, ["limits", service])
    assert done.exit_code == 0, done.output
    return str(done.stdout).splitlines()


def test_what_was_used_is_told_each_way_and_of_a_voucher_without_a_period(recorded):
    """Down, up and seconds as they were counted; a voucher's one period, which begins in 2000, is not shown."""
    with recorded.write() as conn:
        quota.keep_uses(conn, VOUCHER, {("voucher-1", OPENED): Use(OPENED, None, 7, 5000, 60)})
        quota.keep_uses(conn, "prepaid", {("S-8", NOON): Use(NOON, None, 1, 2, 3)})
    assert limits("voucher-1") == ["used of voucher: down 5000 up 7 octets, 60 s"]
    assert limits("S-8") == ["used of prepaid since 2025-11-20T12:00: down 2 up 1 octets, 3 s"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"kind": "fair-use", "octets": 5}, "granted fair-use 2025-11-20T12:00: 5 octets more in that period (R-1)"),
        ({"kind": "billing", "end": END}, "billing period from 2025-11-20T12:00 until 2025-12-20T12:00 (R-1)"),
        ({"octets": 5}, "granted prepaid from 2025-11-20T12:00: 5 octets, any s, until used up (R-1)"),
        ({"seconds": 5, "end": END},
         "granted prepaid from 2025-11-20T12:00: any octets, 5 s, until 2025-12-20T12:00 (R-1)"),
    ],
)  # fmt: skip
def test_a_grant_is_told_as_what_it_is(recorded, given, told):
    """More fair use is for the period that it is in; only a prepaid credit without an end lasts until it is used up."""
    with recorded.write() as conn:
        grant(conn, "S-8", start=NOON, reference="R-1", actor="kim", **given)
        assert conn.scalar(sa.select(sa.func.count()).select_from(quota_grant)) == 1
    assert limits("S-8")[-1] == told
