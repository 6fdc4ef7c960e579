"""Closing a period: what must hold first, what is booked on the first open day after it, and who may reopen it."""

import threading
from datetime import date

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from billing import crediting, ledger, payments, subscriptions
from billing.billrun import run_billing
from billing.books import reports
from billing.closing import checks, closes, lock
from billing.closing.errors import EntityUnknown, NotClosable, NotReopenable, PeriodClosed
from billing.closing.recognition import recognise
from billing.ledger import Books, Entry, book
from billing.models import invoice, ledger_transaction
from billing.runs.verify import breaches
from core.db import Database
from core.money import Money
from tests.billing.stage import START, Stage
from tests.faults_matrix import KILLED, run_child

END = date(2026, 1, 31)
POINTS = [closes.P_CLOSED]
FEW = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)  # fmt: skip


def january(database: Database, **given) -> Stage:
    """An account whose January is billed and recognised."""
    stage = Stage(database, **given)
    stage.add()
    run_billing(database, stage.reader, START)
    recognise(database, END, entity=stage.entity)
    return stage


def closed(stage: Stage, until: date = END) -> None:
    """Close its books."""
    closes.close(stage.database, until, entity=stage.entity, actor="anna")


def paid(stage: Stage, minor: int, on: date, key: str = "k") -> payments.Paid:
    """Pay."""
    with stage.database.write() as conn:
        return payments.pay(conn, stage.account, Money(minor, "AUD"), "cash", f"{stage.entity}:{key}", on=on)


def test_a_period_is_closed_once_and_says_what_it_closed(database: Database):
    """Its proof is the trial balance; again it is closed already; an unknown entity is one sentence."""
    stage = january(database)
    done = closes.close(database, END, entity=stage.entity, actor="anna", dry=True)
    assert done.entities == (stage.entity,)
    with database.read() as conn:
        assert lock.closed_through(conn, stage.entity) is None
    closed(stage)
    assert closes.close(database, END, entity=stage.entity, actor="anna").already == (stage.entity,)
    with database.read() as conn:
        (row,) = closes.history(conn, stage.entity)
    assert (row["closed_through"], row["actor"]) == (END, "anna")
    assert row["proof"] == {
        "receivable AUD": 8690,
        "revenue:recurring AUD": -7900,
        "tax-payable:gst AUD": -790,
    }
    with pytest.raises(EntityUnknown, match="no legal entity 'nowhere'"):
        closes.close(database, END, entity="nowhere", actor="anna")


def test_what_is_not_done_keeps_a_period_open(database: Database):
    """Not recognised, drafts, not billed, not over: each is one sentence with its remedy."""
    stage = Stage(database)
    stage.add()
    with pytest.raises(
        NotClosable, match="1 accounts have something to bill by then; run 'trunkline billing run"
    ):
        closed(stage)
    run_billing(database, stage.reader, START, finalise=False)
    with pytest.raises(NotClosable, match="1 drafts billed by then have no number"):
        closed(stage)
    run_billing(database, stage.reader, START)
    with pytest.raises(NotClosable, match="revenue of 1 lines is not recognised until then; run"):
        closed(stage)
    recognise(database, date(2026, 1, 30), entity=stage.entity)
    with pytest.raises(NotClosable, match="revenue of 1 lines"):
        closed(stage)
    with pytest.raises(NotClosable, match="that day is not over yet"):
        closed(stage, date(2999, 1, 1))
    recognise(database, END, entity=stage.entity)
    closed(stage)


def test_who_pauses_or_has_left_keeps_no_period_open(database: Database):
    """Billed as far as there is something to bill: a vacation from the 20th, an end on the 25th."""
    stage = Stage(database)
    away, gone = stage.add(), stage.add()
    run_billing(database, stage.reader, START)
    with database.write() as conn:
        subscriptions.block(conn, away, date(2026, 1, 20), "t")
        subscriptions.cease(conn, gone, date(2026, 1, 25), "t")
    with pytest.raises(NotClosable, match="1 accounts have something to bill by then"):
        closed(stage)
    run_billing(database, stage.reader, date(2026, 1, 25))
    recognise(database, END, entity=stage.entity)
    closed(stage)


TAMPERED = {
    "the trial balance is off by": "UPDATE ledger_entry SET amount = amount + 1 WHERE ledger = 'revenue:recurring'",
    "are not what the ledger has": "UPDATE ledger_entry SET amount = amount + 1 WHERE ledger = 'receivable'",
    "breaches of invariants": "UPDATE invoice SET total = total + 1",
}


@pytest.mark.parametrize("told", TAMPERED)
def test_tampered_books_are_not_closed(database: Database, told: str):
    """Trial balance, sub-ledger, seals."""
    stage = january(database)
    with database.write() as conn:
        conn.exec_driver_sql(TAMPERED[told])
    with pytest.raises(NotClosable, match=told):
        closed(stage)


def test_a_late_payment_of_a_closed_day_is_booked_on_the_first_open_one(database: Database):
    """Paid on January 20, heard of after the close: booked on February 1, its own day kept; January stays."""
    stage = january(database)
    closed(stage)
    with database.read() as conn:
        before = reports.trial_balance(conn, END, stage.entity)
    paid(stage, 8690, date(2026, 1, 20))
    with database.read() as conn:
        rows = conn.execute(
            sa.select(
                ledger_transaction.c.kind, ledger_transaction.c.booked_on, ledger_transaction.c.happened_on
            )
            .where(ledger_transaction.c.account_id == stage.account, ledger_transaction.c.kind != "invoice")
            .order_by(ledger_transaction.c.kind)
        ).all()
        assert reports.trial_balance(conn, END, stage.entity) == before
    assert [tuple(row) for row in rows] == [
        ("allocation", date(2026, 2, 1), None), ("receipt", date(2026, 2, 1), date(2026, 1, 20)),
    ]  # fmt: skip
    assert [one.allocated_on for one in stage.allocations()] == [date(2026, 2, 1)]
    assert list(breaches(database)) == []


def test_a_closed_period_that_was_changed_behind_its_back_is_told(database: Database):
    """Balanced, dated into January by hand: `verify` says so; a reopened period may change."""
    stage = january(database)
    closed(stage)
    with database.write() as conn:
        legs = [Entry("cash:x", Money(1, "AUD")), Entry("rounding", Money(-1, "AUD"))]
        made = book(conn, Books(stage.entity, stage.account), "x", stage.entity, date(2026, 2, 5), legs)
        moved = ledger_transaction.c.id == made
        conn.execute(sa.update(ledger_transaction).where(moved).values(booked_on=date(2026, 1, 5)))
    told = f"books of {stage.entity}: what was closed until 2026-01-31 is not what it was then"
    assert any(str(one).startswith(told) for one in breaches(database))
    with database.write() as conn:
        closes.reopen(conn, stage.entity, actor="anna", reason="audit")
    assert not any(str(one).startswith("books of") for one in breaches(database))


def test_strict_bookings_of_a_closed_day_are_refused(database: Database):
    """One clear sentence."""
    stage = january(database)
    closed(stage)
    legs = [Entry("cash:x", Money(1, "AUD")), Entry("receivable", Money(-1, "AUD"))]
    with (
        pytest.raises(
            PeriodClosed,
            match="closed until 2026-01-31: nothing is booked on 2026-01-31; book it on 2026-02-01",
        ),
        database.write() as conn,
    ):
        book(conn, Books(stage.entity, stage.account), "x", stage.entity, END, legs, strict=True)


def test_documents_of_a_closed_day_are_issued_on_the_first_open_one(database: Database):
    """An account that is billed late for January gets a number of February; so does what plainly renews in SQL."""
    stage = january(database)
    closed(stage)
    other = Stage(database, legal_entity=stage.entity, tax_profile=stage.entity)
    other.add()
    run_billing(database, stage.reader, START)
    with database.write() as conn:
        later = date(2026, 2, 20)
        closes._store(conn, stage.entity, "close", later, "", "anna", checks.proof(conn, stage.entity, later))
    run_billing(database, stage.reader, date(2026, 2, 1))
    with database.read() as conn:
        mine = invoice.c.legal_entity == stage.entity
        rows = conn.execute(
            sa.select(invoice.c.issued_on, invoice.c.due_on).where(mine).order_by(invoice.c.sequence)
        ).all()
        entry = ledger_transaction.c
        booked = sa.select(entry.booked_on).where(entry.legal_entity == stage.entity, entry.kind == "invoice")
        days = sorted(conn.execute(booked).scalars())
    assert [row[0] for row in rows] == days == [START, date(2026, 2, 1), *[date(2026, 2, 21)] * 2]
    assert rows[-1][1] == date(2026, 3, 7)
    assert list(breaches(database)) == []


def test_only_a_named_person_reopens_and_says_why(database: Database):
    """Then the day is open again; all of it is recorded."""
    stage = january(database)
    with database.write() as conn, pytest.raises(NotReopenable, match="no period of them is closed"):
        closes.reopen(conn, stage.entity, actor="anna", reason="audit")
    closed(stage)
    with database.write() as conn:
        with pytest.raises(NotReopenable, match="say who you are with --as"):
            closes.reopen(conn, stage.entity, actor="operator", reason="audit")
        with pytest.raises(NotReopenable, match="say why with --reason"):
            closes.reopen(conn, stage.entity, actor="anna", reason=" ")
        with pytest.raises(NotReopenable, match="name an earlier day"):
            closes.reopen(conn, stage.entity, actor="anna", reason="audit", through=END)
        assert closes.reopen(conn, stage.entity, actor="anna", reason="audit", through=START) == (END, START)
    paid(stage, 8690, date(2026, 1, 20))
    assert [one.allocated_on for one in stage.allocations()] == [date(2026, 1, 20)]
    with database.read() as conn:
        assert [(row["what"], row["reason"]) for row in closes.history(conn, stage.entity)] == [
            ("close", ""), ("reopen", "audit"),
        ]  # fmt: skip


@FEW
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["pay", "bill", "credit", "close", "recognise"]), st.dates(START, date(2026, 4, 20)),
            st.integers(1, 9000),
        ),
        min_size=3, max_size=9,
    )
)  # fmt: skip
def test_closed_periods_never_change_and_invariants_20_and_21_hold_in_them(database: Database, story):
    """Whatever is billed, paid, credited and closed with any dates: each close's proof stays what the books say."""
    stage = january(database)
    for n, (what, day, minor) in enumerate(story):
        if what == "pay":
            paid(stage, minor, day, str(n))
        elif what == "bill":
            run_billing(database, stage.reader, day)
        elif what == "recognise":
            recognise(database, day, entity=stage.entity)
        elif what == "credit":
            with database.write() as conn:
                key = f"{stage.entity}:{n}"
                part = {1: Money(min(minor, 100), "AUD")}
                crediting.credit(conn, stage.invoices()[0].id, part, actor="a", reason="r", key=key, on=day)
            run_billing(database, stage.reader, day)
        else:
            recognise(database, day, entity=stage.entity)
            try:
                closed(stage, day)
            except NotClosable:
                continue
    with database.read() as conn:
        for row in closes.history(conn, stage.entity):
            found = reports.trial_balance(conn, row["closed_through"], stage.entity)
            assert {
                f"{one.ledger} {one.amount.currency}": one.amount.minor for one in found if one.amount.minor
            } == row["proof"]
    assert list(breaches(database)) == []


def test_a_booking_in_flight_is_waited_for(database: Database):
    """A payment that has read the lock keeps a close waiting; the close then sees it, and the next is moved."""
    if database.is_sqlite:
        pytest.skip("SQLite has one writer")
    stage = january(database)
    begun, go = threading.Event(), threading.Event()

    def pays() -> None:
        with database.write() as conn:
            payments.pay(conn, stage.account, Money(100, "AUD"), "cash", f"{stage.entity}:slow", on=END)
            begun.set()
            go.wait(20)

    slow = threading.Thread(target=pays)
    slow.start()
    assert begun.wait(20)
    closing = threading.Thread(target=closed, args=(stage,))
    closing.start()
    closing.join(1.5)
    assert closing.is_alive()
    go.set()
    for one in (slow, closing):
        one.join(20)
    with database.read() as conn:
        (row,) = closes.history(conn, stage.entity)
        assert ledger.balance(conn, "receivable", stage.account, "AUD", END).minor == 8590
    assert row["proof"]["receivable AUD"] == 8590


@pytest.mark.parametrize("point", POINTS)
def test_killed_before_its_commit_nothing_is_closed(database: Database, point: str):
    """And the same command closes it."""
    stage = january(database)
    url = database.url.render_as_string(hide_password=False)
    assert run_child("tests.billing.doomed_close", [url, str(END), stage.entity], point).returncode == KILLED
    with database.read() as conn:
        assert lock.closed_through(conn, stage.entity) is None
    closed(stage)
    with database.read() as conn:
        assert lock.closed_through(conn, stage.entity) == END
