"""The short way in SQL and the long one in Python bill the same, to the last letter."""

from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing import posting, subscriptions
from billing.bill import Bounds
from billing.billrun import run_billing
from billing.charges import Charge
from billing.ledger import Entry
from billing.models import invoice, invoice_line, invoice_tax, ledger_entry, ledger_transaction
from billing.runs import plain, renewal, seals
from billing.tax import Rate
from billing.timeline import Event, EventKind, Slice, Terms, ought
from core.db import Database
from core.money import Money
from tests.billing.stage import START, Stage
from tests.billing.world import MONTHS, PLANS, World, worlds
from tests.support import examples

FEW = settings(
    max_examples=examples(7), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
FEB = date(2026, 2, 1)


@FEW
@given(worlds, st.sampled_from([Bounds(), Bounds(lines=2), Bounds(factor=1)]), st.integers(1, 3))
def test_what_sql_bills_is_what_python_bills(database: Database, told, bounds, chunk):
    """Of two equal worlds one may renew in SQL, the other must ask every timeline; books and documents are equal."""
    short, long = World(database, told), World(database, told)
    for month, on in enumerate(MONTHS):
        for world in (short, long):
            world.go(month)
        long.forget()
        run_billing(database, short.reader, on, bounds=bounds, chunk=chunk)
        assert short.export() == long.export()


@pytest.fixture
def ways(monkeypatch):
    """What each chunk came to: (bills in SQL, accounts left to Python)."""
    seen: list[tuple[int, int]] = []
    real = plain.bill_plain

    def spy(*args):
        done = real(*args)
        seen.append((done.bills, len(done.odd)))
        return done

    monkeypatch.setattr(plain, "bill_plain", spy)
    return seen


def test_a_renewal_goes_the_short_way_and_an_event_the_long_one(database: Database, ways):
    """The first bill asks the timeline, the second renews in SQL, a change asks again, the month after it renews."""
    stage = Stage(database)
    service = stage.add()
    for on in (START, FEB):
        run_billing(database, stage.reader, on)
    with database.write() as conn:
        subscriptions.change_terms(conn, service, stage.terms("slow"), date(2026, 2, 10), "test")
    for on in (date(2026, 3, 1), date(2026, 4, 1)):
        run_billing(database, stage.reader, on)
    assert ways == [(0, 1), (1, 0), (0, 1), (1, 0)]
    assert len(stage.invoices()) == 4


def test_months_that_nobody_billed_are_made_up_for_in_sql(database: Database, ways):
    """Three periods at once, each a line of its own."""
    stage = Stage(database)
    stage.add()
    run_billing(database, stage.reader, START)
    run_billing(database, stage.reader, date(2026, 4, 1))
    assert ways[-1] == (1, 0)
    assert [row.part_start for row in stage.standing()] == [START, FEB, date(2026, 3, 1), date(2026, 4, 1)]


@pytest.mark.parametrize("what", ["role", "terms", "kind", "price"])
def test_what_the_short_way_does_not_know_goes_the_long_one(what: str, monkeypatch):
    """A whitelist: another role, another term, another event or a price beyond 64 bits never renews."""
    stage_item = subscriptions.Item(
        id="i", subscription="s", account="a", service="S", role="plan", label="", cadence_base=0,
        charged_through=FEB, recalculate_from=None, events=(Event(START, 1, EventKind.ACTIVATED, PLANS["fibre"]),),
    )  # fmt: skip
    assert renewal.renews(stage_item, 1, FEB, []) == PLANS["fibre"]
    if what == "role":
        stage_item = _replaced(stage_item, role="discount")
    elif what == "terms":
        monkeypatch.setattr(renewal, "is_plain", lambda terms: terms.price.minor < 100)
    elif what == "kind":
        monkeypatch.setattr(renewal, "KINDS", ("changed",))
    else:
        dear = Terms("p", "v", Money(10**10, "AUD"))
        stage_item = _replaced(stage_item, events=(Event(START, 1, EventKind.ACTIVATED, dear),))
    assert renewal.renews(stage_item, 1, FEB, []) is None


events = st.lists(
    st.builds(
        Event,
        st.dates(START, date(2026, 8, 1)),
        st.integers(1, 9),
        st.sampled_from(list(EventKind)),
        st.sampled_from(list(PLANS.values())),
    ),
    max_size=5,
    unique_by=lambda event: event.seq,
)


@settings(max_examples=300)
@given(events, st.integers(1, 31), st.integers(0, 5), st.integers(0, 4))
def test_what_renews_is_whole_periods_for_ever(found, anchor, base, months):
    """Where an item is said to renew, its timeline asks for nothing but those periods, whenever one asks."""
    events = tuple(found)
    billed = ought(events, anchor, base, date(2026, 8, 15))
    through = _through(billed)
    rate = Rate("gst", 100_000)
    posted = [Charge(id=str(n), item="i", slice=one, revision=0, rate=rate) for n, one in enumerate(billed)]
    item = subscriptions.Item(
        id="i", subscription="s", account="a", service="S", role="plan", label="", cadence_base=base,
        charged_through=through, recalculate_from=None, events=events,
    )  # fmt: skip
    terms = renewal.renews(item, anchor, through, posted)
    if terms is None or through is None:
        return
    later = date(2026, 9 + months // 2, 1 + 20 * (months % 2))
    wanted = [one for one in ought(events, anchor, base, later, through) if one.period.end > through]
    assert wanted == (renewal.periods(terms, anchor, base, through, later) if later >= through else [])


def test_the_books_and_seals_of_sql_are_those_of_python(database: Database):
    """Each ledger leg and each seal that SQL wrote is what `posting` and `seals` say of the stored document."""
    stage = Stage(database)
    stage.add(plan="fibre")
    stage.add(on=date(2025, 12, 20), plan="slow")
    for on in (START, FEB):
        run_billing(database, stage.reader, on)
    with database.read() as conn:
        documents = conn.execute(sa.select(invoice).where(invoice.c.state == "final")).mappings().all()
        assert len(documents) == 2
        for row in documents:
            lines, taxes = (
                [
                    dict(one)
                    for one in conn.execute(
                        sa.select(table).where(table.c.invoice_id == row["id"])
                    ).mappings()
                ]
                for table in (invoice_line, invoice_tax)
            )
            assert (
                seals.seal(2, dict(row), sorted(lines, key=lambda one: one["position"]), taxes) == row["seal"]
            )
            assert _legs(conn, row["id"]) == _said(row, lines, taxes)


def _legs(conn, source):
    query = sa.select(ledger_entry.c.position, ledger_entry.c.ledger, ledger_entry.c.amount)
    query = query.join(ledger_transaction).where(ledger_transaction.c.source == source)
    return [tuple(row) for row in conn.execute(query.order_by(ledger_entry.c.position))]


def _said(row, lines, taxes):
    """What `posting.book_invoice` would book."""
    kept: list[Entry] = []
    nothing: Any = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            posting, "book", lambda _conn, _books, _kind, _source, _on, entries: kept.extend(entries)
        )
        posting.book_invoice(nothing, row, lines, taxes)
    legs = [one for one in kept if one.amount.minor]
    return [(n, one.ledger, one.amount.minor) for n, one in enumerate(legs)]


def _through(slices: list[Slice]) -> date | None:
    return max((one.part.end for one in slices if one.kind == "recurring"), default=None)


def _replaced(item, **changes):
    import msgspec

    return msgspec.structs.replace(item, **changes)
