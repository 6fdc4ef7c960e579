"""Deferred revenue: days become revenue exactly, once, in any order; the schedule ties to the ledger at every date."""

from datetime import date, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bench.year_events import FIRST
from bench.year_world import Year
from billing import crediting, ledger
from billing.billrun import run_billing
from billing.closing import recognition
from billing.closing.errors import RecognitionNotUsable
from billing.closing.recognition import recognise
from billing.closing.schedule import schedule
from billing.closing.spread import earned, earned_sql
from billing.models import ledger_entry, ledger_transaction
from billing.periods import Period
from core import migrate
from core.db import Database
from core.money import Money
from tests.billing.stage import START, Stage
from tests.billing.world import MONTHS, World, worlds
from tests.faults_matrix import KILLED, run_child
from tests.support import examples

DAYS = 75
POINTS = [recognition.P_TAKEN, recognition.P_STRETCH]
FEW = settings(
    max_examples=examples(6),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def deferred(database: Database, day: date, entity: str) -> int:
    """What the ledger has as deferred for an entity by the end of a day, as a positive amount."""
    query = sa.select(-sa.func.coalesce(sa.func.sum(ledger_entry.c.amount), 0)).join(ledger_transaction)
    query = query.where(ledger_entry.c.ledger.startswith("deferred:"), ledger_transaction.c.booked_on <= day)
    with database.read() as conn:
        return int(conn.execute(query.where(ledger_transaction.c.legal_entity == entity)).scalar_one())


def booked(database: Database, entity: str) -> list[tuple]:
    """What recognition has booked, day by day, without ids: several bookings of a day together."""
    entry, transaction = ledger_entry.c, ledger_transaction.c
    query = sa.select(transaction.booked_on, entry.ledger, entry.currency, sa.func.sum(entry.amount))
    query = query.join(ledger_transaction).where(
        transaction.kind == "recognition", transaction.legal_entity == entity
    )
    query = query.group_by(transaction.booked_on, entry.ledger, entry.currency)
    with database.read() as conn:
        return sorted(tuple(row) for row in conn.execute(query) if row[3])


@given(
    st.integers(-(10**9), 10**9), st.dates(date(2026, 1, 1), date(2026, 3, 1)), st.integers(1, 370),
    st.lists(st.integers(0, 400), max_size=4),
)  # fmt: skip
def test_the_parts_of_a_line_over_its_days_add_up_to_its_net(net, start, days, cuts):
    """Cut anywhere: nothing before the first day, all of it after the last, never back and forth."""
    period = Period(start, start + timedelta(days=days))
    marks = [earned(net, period, start + timedelta(days=cut)) for cut in sorted({0, days, *cuts})]
    assert (marks[0], marks[-1]) == (0, net)
    assert [abs(one) for one in marks] == sorted(abs(one) for one in marks)


@FEW
@given(
    rows=st.lists(
        st.tuples(
            st.integers(-(10**12), 10**12), st.integers(0, 60), st.integers(1, 370), st.integers(0, 430)
        ),
        max_size=20,
    )
)
def test_sql_earns_what_python_earns(database: Database, rows):
    """On both databases, to the minor unit."""
    for net, after, days, gone in rows:
        start = START + timedelta(days=after)
        told = sa.select(
            sa.literal(net, sa.BigInteger).label("net"), sa.literal(start, sa.Date).label("period_start"),
            sa.literal(start + timedelta(days=days), sa.Date).label("period_end"),
        ).subquery()  # fmt: skip
        until = START + timedelta(days=gone)
        with database.read() as conn:
            found = conn.execute(sa.select(earned_sql(told.c, sa.literal(until, sa.Date)))).scalar_one()
        assert found == earned(net, Period(start, start + timedelta(days=days)), until)


def test_a_month_of_79_is_earned_day_by_day(database: Database):
    """January: on the day of issue 79/31, by the 10th ten days, by the end all of it; again adds nothing."""
    stage = Stage(database)
    stage.add()
    run_billing(database, stage.reader, START)
    assert deferred(database, START, stage.entity) == 7900
    done = recognise(database, START, entity=stage.entity)
    assert done.amounts == {(stage.entity, "AUD", "revenue:recurring"): 255}
    recognise(database, date(2026, 1, 10), entity=stage.entity)
    assert deferred(database, date(2026, 1, 10), stage.entity) == 7900 - 2548
    again = recognise(database, date(2026, 1, 10), entity=stage.entity)
    assert (again.transactions, again.documents) == (0, 0)
    assert recognise(database, date(2026, 3, 1), entity=stage.entity).transactions == 21
    assert deferred(database, date(2026, 3, 1), stage.entity) == 0


def test_days_that_are_past_at_issue_are_recognised_at_issue(database: Database):
    """Billed on the 21st from the 1st: twenty-one of 31 days at once."""
    stage = Stage(database)
    stage.add()
    run_billing(database, stage.reader, date(2026, 1, 21))
    recognise(database, date(2026, 1, 21), entity=stage.entity)
    assert deferred(database, date(2026, 1, 21), stage.entity) == 7900 - round(7900 * 21 / 31)


def test_a_credit_note_recognises_negatively(database: Database):
    """Credited whole on the 11th: what was earned is taken back that day, and the rest as the days go by."""
    stage = Stage(database)
    stage.add()
    run_billing(database, stage.reader, START)
    recognise(database, date(2026, 1, 10), entity=stage.entity)
    with database.write() as conn:
        crediting.credit(
            conn, stage.invoices()[0].id, actor="a", reason="r", key=stage.entity, on=date(2026, 1, 11)
        )
    run_billing(database, stage.reader, date(2026, 1, 11))
    recognise(database, date(2026, 1, 11), entity=stage.entity)
    assert deferred(database, date(2026, 1, 11), stage.entity) == 0
    recognise(database, date(2026, 2, 1), entity=stage.entity)
    with database.read() as conn:
        balances = ledger.trial_balance(conn)
    assert balances.get(("revenue:recurring", "AUD"), 0) == 0


def test_a_document_issued_late_is_recognised_on_the_days_that_it_reaches_back_to(database: Database):
    """Another account is billed for January 1 after the 20th was recognised: the ledger ties on each day again."""
    one = Stage(database)
    other = Stage(database, legal_entity=one.entity, tax_profile=one.entity)
    one.add()
    run_billing(database, one.reader, START)
    recognise(database, date(2026, 1, 20), entity=one.entity)
    other.add()
    run_billing(database, other.reader, START)
    assert recognise(database, date(2026, 1, 20), entity=one.entity).transactions == 20
    assert deferred(database, date(2026, 1, 10), one.entity) == 2 * (7900 - 2548)


def test_tomorrow_is_not_recognised(database: Database):
    """Revenue of days that are not over is none."""
    with pytest.raises(RecognitionNotUsable, match="2999-01-01: that day is not over"):
        recognise(database, date(2999, 1, 1))


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """Two and a half months of thirty accounts in four currencies and two entities, recognised until March 1."""
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('deferred') / 'busy.db'}", durable=False)
    migrate.upgrade(database)
    year = Year(database, 5, 30, DAYS)
    year.open()
    for offset in range(DAYS):
        year.live(FIRST + timedelta(days=offset))
        if offset == 40:
            recognise(database, FIRST + timedelta(days=20))
    recognise(database, date(2026, 3, 1))
    yield database
    database.close()


@settings(max_examples=40, deadline=None)
@given(offset=st.integers(-3, DAYS + 400))
def test_the_schedule_ties_to_the_ledger_at_every_date(busy, offset):
    """Months to come plus what is behind are what the ledger has as deferred; until March 1 nothing is behind."""
    day = FIRST + timedelta(days=offset)
    with busy.read() as conn:
        told = schedule(conn, day)
        assert [one.together for one in told] == [one.booked for one in told]
        assert all(one.behind == 0 for one in told) or day > date(2026, 3, 1)
    for entity in ("main", "south"):
        assert sum(one.booked for one in told if one.legal_entity == entity) == deferred(busy, day, entity)
    assert all(month > day.replace(day=1) - timedelta(days=1) for one in told for month in one.months)


def test_the_schedule_sees_a_tampered_ledger(busy):
    """The tie is no tautology: an entry changed behind its back breaks it."""
    with busy.read() as conn:
        conn.exec_driver_sql("UPDATE ledger_entry SET amount = amount + 1 WHERE ledger LIKE 'deferred:%'")
        told = schedule(conn, date(2026, 2, 10))
    assert any(one.together != one.booked for one in told)


@FEW
@given(worlds, st.lists(st.dates(START, date(2026, 5, 1)), max_size=4))
def test_whenever_it_is_recognised_the_days_end_the_same(database: Database, told, stops):
    """In one go after all, or in pieces between the runs: the same revenue on the same days, and all of it."""
    calm, busy_ = World(database, told), World(database, told)
    for n, month in enumerate(MONTHS):
        for one in (calm, busy_):
            one.go(n)
        run_billing(database, calm.reader, month)
        for stop in stops[n : n + 1]:
            recognise(database, stop, entity=busy_.entity)
    for one in (calm, busy_):
        recognise(database, date(2026, 9, 1), entity=one.entity)
        assert deferred(database, date(2026, 9, 1), one.entity) == 0
    assert booked(database, calm.entity) == booked(database, busy_.entity)


@pytest.mark.parametrize("point", POINTS)
def test_killed_and_run_again_each_day_is_booked_once(database: Database, point: str):
    """Two months, killed between them: the next run books what is left, and the balance is nothing."""
    stage, calm = Stage(database), Stage(database)
    for one in (stage, calm):
        one.add(plan="quarterly")
        run_billing(database, one.reader, START)
    url = database.url.render_as_string(hide_password=False)
    until = date(2026, 3, 20)
    assert (
        run_child("tests.billing.doomed_recognition", [url, str(until), stage.entity], point).returncode
        == KILLED
    )
    for one in (stage, calm):
        recognise(database, until, entity=one.entity)
    assert booked(database, stage.entity) == booked(database, calm.entity)
    assert deferred(database, until, stage.entity) == 23700 - earned(
        23700, Period(START, date(2026, 4, 1)), until + timedelta(days=1)
    )
    with database.read() as conn:
        assert (
            Money(
                sum(minor for (_, c), minor in ledger.trial_balance(conn).items() if c == "AUD"), "AUD"
            ).minor
            == 0
        )
