"""Octets by local day: cut out of UTC days at local midnight, in time or not at all; each octet counts once."""

import os
import signal
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from aaa.models import usage_day
from billing.rating import cutting, reading
from billing.rating.models import usage_cut, usage_cut_run
from billing.rating.reading import divided
from billing.rating.running import rate
from core import clock
from core.db import Database
from core.models import job
from intents.plan.schema import Plan, Usage
from intents.reader import MemoryReader
from intents.scalars import Amount
from tests.billing.stage import Stage, price, reader_of

POINTS = ["billing.before_cut_commit"]
GB = 10**9
JAN31, FEB1 = date(2026, 1, 31), date(2026, 2, 1)
METERED = Plan(
    type="internet",
    prices=(price("m", "30.00", usage=(Usage(meter="bytes", per="1G", price=Amount("0.50")),)),),
)  # fmt: skip


class Counted(Stage):
    """A stage whose service is billed by the gigabyte."""

    @property
    def reader(self) -> MemoryReader:
        """With the metered plan."""
        return reader_of(self.services, {"metered": METERED})

    def count(self, day: date, up: int, down: int = 0) -> None:
        """Accounting adds octets to a UTC day."""
        name = next(iter(self.services))
        mine = sa.and_(usage_day.c.service == name, usage_day.c.day == day)
        with self.database.write() as conn:
            row = conn.execute(sa.select(usage_day).where(mine)).first()
            if row is None:
                values = {"service": name, "day": day, "up_octets": up, "down_octets": down}
                conn.execute(sa.insert(usage_day).values(**values))
            else:
                values = {"up_octets": row.up_octets + up, "down_octets": row.down_octets + down}
                conn.execute(sa.update(usage_day).where(mine).values(**values))

    def days(self) -> dict[int, int]:
        """Gigabytes by day of the month around the end of January, as rating has them."""
        name = next(iter(self.services))
        with self.database.read() as conn:
            zones = {name: self.zone}
            found = reading.read(conn, zones, ["bytes"], date(2026, 1, 29), date(2026, 2, 4))
        return {day.day: octets // GB for day, octets in found[name, "bytes"].items() if octets}

    zone = "Australia/Perth"


@pytest.fixture(autouse=True)
def fresh(database: Database) -> None:
    """No midnight was noted yet."""
    with database.write() as conn:
        for table in (usage_cut, usage_cut_run, job):
            conn.execute(sa.delete(table))


def metered(database: Database, zone: str = "Australia/Perth") -> Counted:
    """An account in a zone."""
    stage = Counted(database, timezone=zone)
    stage.zone = zone
    stage.add(plan="metered")
    return stage


def at(stage: Stage, *moment: int) -> int:
    """Cut at a moment (UTC)."""
    with clock.frozen(datetime(2026, *moment, tzinfo=UTC)):  # type: ignore[misc,arg-type]
        return cutting.cut(stage.database, stage.reader)


def test_perth_begins_february_eight_hours_early(database: Database):
    """10 GB until its midnight (16:00 UTC) are January's, the 7 GB after it February's; and so they are billed."""
    stage = metered(database)
    stage.count(JAN31, 10 * GB)
    assert at(stage, 1, 31, 16, 5) == 1
    assert at(stage, 1, 31, 16, 15) == 0
    stage.count(JAN31, 3 * GB, 4 * GB)
    stage.count(FEB1, GB)
    assert stage.days() == {31: 10, 1: 8}
    used = {str(one.period.start): one.used for one in rate(database, stage.reader, FEB1).changes}
    assert used["2026-01-01"] == 10 * GB


def test_new_york_ends_january_five_hours_late(database: Database):
    """The UTC day of the 1st of February has January's last evening."""
    stage = metered(database, "America/New_York")
    stage.count(FEB1, 2 * GB)
    assert at(stage, 2, 1, 5, 0) == 1
    stage.count(FEB1, 5 * GB)
    assert stage.days() == {31: 2, 1: 5}


def test_who_used_nothing_by_midnight_has_it_all_after(database: Database):
    """There is no row for the service, and yet the midnight was noted."""
    stage = metered(database)
    assert at(stage, 1, 31, 16, 0) == 0
    stage.count(JAN31, 5 * GB)
    assert stage.days() == {1: 5}


@pytest.mark.parametrize("moment", [(1, 31, 15, 59), (1, 31, 16, 21), (2, 1, 3, 0)])
def test_too_early_or_too_late_is_not_at_all(database: Database, moment: tuple[int, ...]):
    """Then the UTC day counts whole, by its own date, as it always did."""
    stage = metered(database)
    stage.count(JAN31, 10 * GB)
    assert at(stage, *moment) == 0
    stage.count(JAN31, 7 * GB)
    assert stage.days() == {31: 17}


def test_in_utc_and_for_plans_without_octets_nothing_is_noted(database: Database):
    """London's winter midnight is UTC's; who pays by the month needs no days."""
    london = metered(database, "Europe/London")
    london.count(JAN31, GB)
    assert at(london, 2, 1, 0, 0) == 0
    assert london.days() == {31: 1}
    flat = Stage(database)
    flat.add()
    with clock.frozen(datetime(2026, 1, 31, 16, tzinfo=UTC)), database.write() as conn:
        assert cutting.cut(database, flat.reader) == 0
        cutting.want(conn, flat.reader)
        assert conn.execute(sa.select(job.c.job_id)).first() is None


def test_the_job_comes_again_in_each_quarter_of_an_hour(database: Database):
    """Once, however often it is asked for; zones at 45 minutes are on a quarter, too."""
    stage = metered(database, "Asia/Kathmandu")
    stage.count(JAN31, 3 * GB)
    with clock.frozen(datetime(2026, 1, 31, 18, 15, 20, tzinfo=UTC)):
        assert cutting.perform(database, stage.reader) == 1
        with database.write() as conn:
            cutting.want(conn, stage.reader)
    with database.read() as conn:
        rows = conn.execute(sa.select(job).where(job.c.kind == cutting.CUT)).all()
    assert [row.run_at for row in rows] == [datetime(2026, 1, 31, 18, 30, tzinfo=UTC)]
    stage.count(JAN31, GB)
    assert stage.days() == {31: 3, 1: 1}


@pytest.mark.parametrize("point", POINTS)
def test_killed_before_it_is_noted(database: Database, point: str):
    """Nothing is noted; within its tolerance the next job notes it, once."""
    stage = metered(database)
    stage.count(JAN31, 10 * GB)
    child = os.fork()
    if not child:
        database.engine.dispose(close=False)
        os.environ |= {"TRUNKLINE_TEST_MODE": "1", "TRUNKLINE_FAULT": f"{point}:1:kill"}
        at(stage, 1, 31, 16, 0)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert at(stage, 1, 31, 16, 15) == 1
    stage.count(JAN31, GB)
    assert stage.days() == {31: 10, 1: 1}


octets = st.integers(0, 10**13)


@given(octets, octets, st.one_of(st.none(), st.tuples(octets, octets)), st.booleans(), st.booleans())
def test_each_octet_counts_once(up, down, before, east, noted):
    """However a UTC day is cut, also where a counter is smaller than it was: the parts add up."""
    following = (JAN31 + timedelta(days=1) if east else JAN31) if noted else None
    parts = divided(JAN31, up, down, following, before)
    assert sum(one for _, one, _ in parts) == up
    assert sum(one for _, _, one in parts) == down
    assert all(one >= 0 and other >= 0 for _, one, other in parts)
    assert len({day for day, _, _ in parts}) == len(parts)
