"""A pinned price version that is taken out of the catalogue: nobody's usage is given away or taken back in silence."""

from datetime import date

import sqlalchemy as sa
from msgspec.structs import replace

from billing import subscriptions
from billing.rating.lost import EVENT, Lost
from billing.rating.running import rate
from core.db import Database
from core.models import event
from intents.plan.schema import Plan
from intents.reader import MemoryReader
from tests.billing.stage import price, reader_of
from tests.billing.test_rating import FEB, GB, MAR, METERED, Metered

GONE = replace(METERED, prices=(price("m2", "35.00"),))


class _Catalogue(Metered):
    """Its one plan may be written anew."""

    plan: Plan = METERED

    @property
    def reader(self) -> MemoryReader:
        """With the plan as it is now."""
        return reader_of(
            self.services, {"metered": self.plan, "fibre": Plan(type="internet", prices=GONE.prices)}
        )


def _billed(database: Database) -> tuple[_Catalogue, str]:
    """312 GB in January, rated; 210 GB in February, not yet."""
    stage = _Catalogue(database)
    service = stage.add(plan="metered")
    stage.used(service, date(2026, 1, 10), 312 * GB)
    stage.used(service, date(2026, 2, 10), 210 * GB)
    rate(database, stage.reader, FEB)
    return stage, service


def test_what_was_billed_stays_and_the_version_is_named(database: Database) -> None:
    """January is looked at again and stays; February waits; each day one alarm."""
    stage, service = _billed(database)
    stage.plan = GONE
    for _ in range(2):
        found = rate(database, stage.reader, MAR)
        assert (found.changes, found.lost) == ((), (Lost("metered", "m1", (service,)),))
    assert str(found.lost[0]) == (
        f"price version m1 of plan metered is not in the catalogue any more; the usage of whoever has it ({service}; "
        "1 in all) is neither rated nor taken back; put the version back into the plan's file"
    )
    assert [row.amount for row in stage.rated()] == [5600]
    with database.read() as conn:
        told = conn.execute(sa.select(event.c.subject, event.c.data).where(event.c.type == EVENT)).all()
    assert [(one.subject, one.data["on"]) for one in told] == [("metered/m1", "2026-03-01")]


def test_the_version_put_back_bills_what_waited(database: Database) -> None:
    """February with the bill that follows it, as if nothing had been."""
    stage, _ = _billed(database)
    stage.plan = GONE
    rate(database, stage.reader, MAR)
    stage.plan = METERED
    found = rate(database, stage.reader, MAR)
    assert ([(one.period.start, str(one.amount)) for one in found.changes], found.lost) == (
        [(FEB, "AUD 5.00")],
        (),
    )


def test_a_dry_run_names_it_and_tells_nobody(database: Database) -> None:
    """What it says is what the run would say."""
    stage, service = _billed(database)
    stage.plan = GONE
    assert [one.services for one in rate(database, stage.reader, MAR, dry=True).lost] == [(service,)]
    with database.read() as conn:
        assert conn.execute(sa.select(event).where(event.c.type == EVENT)).all() == []


def test_a_version_that_never_priced_usage_may_go(database: Database) -> None:
    """It was pinned, and bills on: nobody is told each night."""
    stage = _Catalogue(database)
    stage.plan = replace(GONE, prices=(price("m1", "30.00"),))
    stage.add(plan="metered")
    stage.plan = GONE
    assert rate(database, stage.reader, FEB).lost == ()


def test_who_left_the_version_in_time_is_not_missed(database: Database) -> None:
    """Only days that are rated count; the version before them may go."""
    stage, service = _billed(database)
    with database.write() as conn:
        subscriptions.change_terms(conn, service, stage.terms("fibre"), FEB, "test")
    stage.plan = GONE
    assert rate(database, stage.reader, date(2026, 6, 1)).lost == ()
