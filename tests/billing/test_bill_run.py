"""The bill run on both databases: adds nothing twice, resumes, parks what is odd."""

import itertools
from datetime import date

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing import canonical, catalog, invoices, ledger, parked, subscriptions, taxes
from billing.bill import Bounds
from billing.billrun import P_CHUNK, P_DRAFTS, run_billing
from billing.errors import InvoiceFinal, PriceMissing, PriceVersionUnknown
from billing.models import invoice
from billing.runs.numbering import P_NUMBER
from core.db import Database
from core.faults import FaultInjected
from intents.plan.schema import Plan
from tests.billing.stage import PLANS, START, Stage, price, reader_of
from tests.billing.threads import together
from tests.support import examples

FEW = settings(
    max_examples=examples(8), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
FEB, MAR = date(2026, 2, 1), date(2026, 3, 1)
happenings = st.lists(
    st.tuples(
        st.dates(date(2026, 1, 2), date(2026, 4, 20)),
        st.sampled_from(["slow", "fibre", "yearly", "quarterly", "block", "unblock", "cease"]),
    ),
    max_size=4,
)


def happen(stage: Stage, service: str, day: date, what: str) -> None:
    """Let something happen to a service."""
    with stage.database.write() as conn:
        if what in PLANS:
            subscriptions.change_terms(conn, service, stage.terms(what), day, "test")
        else:
            getattr(subscriptions, what)(conn, service, day, "test")


def test_periods_of_two_rhythms_that_begin_on_one_day_are_corrected_apart(database: Database):
    """Monthly, then by the year from the same day, then ended: each correction has a place of its own."""
    stage = Stage(database)
    service = stage.add()
    for day in (START, date(2026, 2, 1)):
        run_billing(database, stage.reader, day)
    happen(stage, service, date(2026, 2, 1), "yearly")
    for day in (date(2026, 2, 10), date(2026, 5, 4)):
        run_billing(database, stage.reader, day)
    happen(stage, service, date(2026, 5, 4), "cease")
    run_billing(database, stage.reader, date(2026, 5, 5))
    billed = [
        (one.part_start, one.part_end, one.amount) for one in stage.standing() if one.part_end.month == 5
    ]
    assert billed == [(date(2026, 2, 1), date(2026, 5, 4), 15123)]


def test_a_month_is_billed_with_tax_and_a_number(database: Database):
    """Price version -> charge -> final invoice with GST on top, due in 14 days."""
    stage = Stage(database)
    stage.add()
    run = run_billing(database, stage.reader, START)
    (made,) = stage.invoices()
    assert (made.net, made.tax, made.total, made.state) == (7900, 790, 8690, "final")
    assert (made.number, made.issued_on, made.due_on) == (
        f"INV-{stage.entity}-000001",
        START,
        date(2026, 1, 15),
    )
    assert run.final == (made.number,)


@FEW
@given(happenings, st.lists(st.dates(START, date(2026, 5, 31)), min_size=1, max_size=3), st.integers(1, 31))
def test_invariant_1_running_twice_for_a_date_adds_nothing(database: Database, story, days, anchor):
    """After any story, the second run for the same date makes no charge and no invoice."""
    stage = Stage(database, anchor=anchor)
    service = stage.add()
    for day, what in story:
        happen(stage, service, day, what)
    for day in sorted(days):
        run_billing(database, stage.reader, day)
    before = (stage.charges(), stage.invoices(), stage.ledger())
    run_billing(database, stage.reader, max(days))
    assert (stage.charges(), stage.invoices(), stage.ledger()) == before


@FEW
@given(happenings, st.integers(1, 31), st.dates(FEB, date(2026, 5, 1)))
def test_invariant_13_an_event_recorded_late_nets_what_one_recorded_in_time_does(
    database, story, anchor, last
):
    """One account hears of everything before its first bill, the other after a bill each month."""
    timely, late = Stage(database, anchor=anchor), Stage(database, anchor=anchor)
    for stage in (timely, late):
        stage.add()
    for day, what in story:
        happen(timely, f"S-{timely.number}-1", day, what)
    for month in (1, 2, 3):
        run_billing(database, late.reader, date(2026, month, 15))
    for day, what in story:
        happen(late, f"S-{late.number}-1", day, what)
    final = max(last, date(2026, 4, 25))
    run_billing(database, late.reader, final)
    assert late.net() == timely.net()
    assert [_interval(row) for row in late.standing()] == [_interval(row) for row in timely.standing()]


@FEW
@given(happenings, st.integers(1, 31))
def test_invariants_4_and_5_posted_intervals_tile_the_time_that_is_billed(database, story, anchor):
    """What stands after every month's run never overlaps."""
    stage = Stage(database, anchor=anchor)
    service = stage.add()
    for number, month in enumerate(range(1, 6)):
        run_billing(database, stage.reader, date(2026, month, 20))
        for day, what in story[number : number + 1]:
            happen(stage, service, day, what)
    run_billing(database, stage.reader, date(2026, 6, 2))
    parts = [(row.part_start, row.part_end) for row in stage.standing()]
    assert all(one[1] <= two[0] for one, two in itertools.pairwise(parts))


@FEW
@given(happenings, st.lists(st.integers(1, 28), min_size=1, max_size=3))
def test_invariants_15_20_21_totals_ledger_and_receivable_agree(database, story, days):
    """Invoices are lines plus tax; every ledger transaction is zero; receivable = invoices - allocations."""
    stage = Stage(database)
    service = stage.add()
    for number, day in enumerate(sorted(days)):
        for on, what in story[number : number + 1]:
            happen(stage, service, on, what)
        run_billing(database, stage.reader, date(2026, number + 1, day))
    for row in stage.invoices():
        with database.read() as conn:
            lines, subtotals = invoices.lines(conn, row.id), invoices.tax_subtotals(conn, row.id)
            receivable = ledger.balance(conn, ledger.RECEIVABLE, stage.account, "AUD")
        assert row.total == sum(line["amount"] for line in lines) + sum(tax["tax"] for tax in subtotals)
    sums: dict[str, int] = {}
    for entry in stage.ledger():
        sums[entry.transaction_id] = sums.get(entry.transaction_id, 0) + entry.amount
    assert set(sums.values()) <= {0}
    owed = sum(row.total for row in stage.invoices() if row.kind == "invoice")
    assert receivable.minor == owed - sum(one.amount for one in stage.allocations())


def test_invariants_28_and_29_numbers_are_gapless_and_issue_dates_never_go_back(database: Database):
    """Runs for later and earlier dates, and a voided draft, leave 1..n with dates in order."""
    stage = Stage(database)
    for day in (date(2026, 1, 20), FEB, date(2026, 1, 3), MAR):
        stage.add(on=day)
        run_billing(database, stage.reader, day, finalise=False)
        if day == FEB:
            with database.write() as conn:
                invoices.void(conn, stage.invoices()[-1].id)
        run_billing(database, stage.reader, day)
    rows = sorted((row for row in stage.invoices() if row.state == "final"), key=lambda row: row.sequence)
    assert [row.sequence for row in rows] == list(range(1, len(rows) + 1))
    assert [row.issued_on for row in rows] == sorted(row.issued_on for row in rows)


def test_a_voided_draft_is_billed_again_and_a_final_invoice_never(database: Database):
    """Draft -> void makes its intervals unbilled; final stays (invariant 27)."""
    stage = Stage(database)
    stage.add()
    run_billing(database, stage.reader, START, finalise=False)
    with database.write() as conn:
        invoices.void(conn, stage.invoices()[0].id)
    run_billing(database, stage.reader, START)
    assert [row.state for row in stage.invoices()] == ["void", "final"]
    with database.write() as conn, pytest.raises(InvoiceFinal, match="credit note"):
        invoices.void(conn, stage.invoices()[1].number)


@FEW
@given(happenings)
def test_invariant_27_final_documents_keep_their_seal(database, story):
    """Whatever happens later, the hash of a final document stays what it was."""
    stage = Stage(database)
    service = stage.add()
    run_billing(database, stage.reader, START)
    for day, what in story:
        happen(stage, service, day, what)
    run_billing(database, stage.reader, date(2026, 5, 1))
    with database.read() as conn:
        assert all(invoices.seal_of(conn, invoices.get(conn, row.id)) == row.seal for row in stage.invoices())


def test_ceasing_after_the_bill_gives_a_credit_note_that_pays_the_next_debt(database: Database):
    """Billed for January, ceased on the 16th: 16/31 come back as credit, in a series of its own."""
    stage = Stage(database)
    service = stage.add()
    run_billing(database, stage.reader, START)
    happen(stage, service, date(2026, 1, 16), "cease")
    run_billing(database, stage.reader, date(2026, 1, 16))
    note = stage.invoices()[1]
    assert (note.kind, note.number, note.net) == ("credit-note", f"CN-{stage.entity}-000001", -4077)
    assert sum(one.amount for one in stage.allocations()) == -note.total


def test_invariant_34_a_new_price_version_changes_no_pinned_subscription(database: Database):
    """Pin 6: the catalogue doubles, the bill stays."""
    stage = Stage(database)
    stage.add()
    run_billing(database, stage.reader, START)
    dearer = Plan(
        type="internet", prices=(price("2025a", "79.00"), price("2026a", "158.00", date(2026, 1, 15)))
    )
    run_billing(database, reader_of(stage.services, {"fibre": dearer}), FEB)
    assert [row.net for row in stage.invoices()] == [7900, 7900]


def test_jan_31_feb_28_mar_31_are_billed(database: Database):
    """Classic bug: billing that stops after a short month."""
    stage = Stage(database, anchor=31)
    stage.add(on=date(2026, 1, 31))
    for day in (date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30)):
        run_billing(database, stage.reader, day)
    assert [row.part_start.isoformat()[5:] for row in stage.standing()] == [
        "01-31",
        "02-28",
        "03-31",
        "04-30",
    ]
    assert {row.amount for row in stage.standing()} == {7900}


def test_a_rerun_for_an_earlier_date_takes_nothing_back(database: Database):
    """Classic bug: a rerun with another clock bills, or unbills, twice."""
    stage = Stage(database)
    service = stage.add()
    run_billing(database, stage.reader, FEB)
    happen(stage, service, MAR, "slow")
    run_billing(database, stage.reader, START)
    assert [row.part_start for row in stage.standing()] == [START, FEB]


@pytest.mark.parametrize("point", [P_CHUNK, P_DRAFTS, P_NUMBER])
def test_invariant_2_a_crash_and_a_rerun_end_like_an_undisturbed_run(database, monkeypatch, point):
    """Whatever step it dies at, the canonical export is that of an account that was never disturbed."""
    calm, crashed = Stage(database), Stage(database)
    calm.add()
    run_billing(database, calm.reader, START)
    crashed.add()
    monkeypatch.setenv("TRUNKLINE_TEST_MODE", "1")
    monkeypatch.setenv("TRUNKLINE_FAULT", f"{point}:{_passed(point) + 1}:raise")
    with pytest.raises(FaultInjected):
        run_billing(database, crashed.reader, START)
    monkeypatch.delenv("TRUNKLINE_FAULT")
    run_billing(database, crashed.reader, START)
    with database.read() as conn:
        one, other = (canonical.export(conn, stage.account) for stage in (calm, crashed))
    assert _anonymous(one, calm) == _anonymous(other, crashed)


def test_invariant_3_concurrent_runners_do_what_one_does(database: Database):
    """Four runners at once: every account is billed once, the numbers have no gap."""
    stages = [Stage(database, legal_entity="together") for _ in range(6)]
    for stage in stages:
        stage.add()
    together(4, lambda: run_billing(database, stages[0].reader, START, chunk=2))
    assert all(len(stage.invoices()) == 1 and len(stage.charges()) == 1 for stage in stages)
    with database.read() as conn:
        query = sa.select(invoice.c.sequence).where(invoice.c.legal_entity == "together")
        assert sorted(conn.execute(query).scalars()) == list(range(1, 7))


def test_an_odd_account_is_parked_named_and_the_run_goes_on(database: Database):
    """Pin 7: too many lines on one bill; a person accepts it, then it is billed."""
    odd, fine = Stage(database), Stage(database)
    for _ in range(4):
        odd.add()
    fine.add()
    run = run_billing(database, fine.reader, START, bounds=Bounds(lines=3))
    assert "4 lines" in run.parked[odd.account]
    assert (len(odd.invoices()), len(fine.invoices())) == (0, 1)
    with database.write() as conn:
        assert odd.account in parked.reasons(conn)
        parked.accept(conn, odd.account, "staff-7")
    run_billing(database, fine.reader, START, bounds=Bounds(lines=3))
    assert len(odd.invoices()) == 1


def test_a_total_far_off_the_last_is_parked(database: Database):
    """Pin 7: a year of arrears after one month's bill is looked at by a person."""
    stage = Stage(database)
    stage.add()
    run_billing(database, stage.reader, START)
    run = run_billing(database, stage.reader, date(2027, 3, 1))
    assert "10 times" in run.parked[stage.account]


def test_an_account_without_a_tax_rate_is_parked_with_the_remedy(database: Database):
    """The sentence says which rate is missing and how to set it."""
    stage = Stage(database, tax_profile="nowhere")
    stage.add()
    run = run_billing(database, stage.reader, START)
    assert "trunkline billing tax gst" in run.parked[stage.account]


def test_an_exempt_account_pays_no_tax_and_inclusive_prices_contain_it(database: Database):
    """Exempt: 79.00. Inclusive of 10%: 71.82 + 7.18."""
    exempt, inclusive = Stage(database, tax_profile="exempt"), Stage(database)
    with database.write() as conn:
        taxes.set_rate(conn, "gst", "10%", profile=inclusive.entity, valid_from=START, inclusive=True)
    for stage in (exempt, inclusive):
        stage.add()
    run_billing(database, exempt.reader, START)
    assert [(row.net, row.tax) for row in exempt.invoices()] == [(7900, 0)]
    assert [(row.net, row.tax) for row in inclusive.invoices()] == [(7182, 718)]


def test_the_catalogue_gives_the_version_in_force(database: Database):
    """The latest version that has started; before the first there is none."""
    reader = reader_of(
        plans={"p": Plan(type="internet", prices=(price("b", "2.00", FEB), price("a", "1.00")))}
    )
    assert catalog.price_on(reader, "p", START, "AUD").version == "a"
    assert catalog.price_on(reader, "p", FEB, "AUD").version == "b"
    with pytest.raises(PriceMissing, match="no price on 2020"):
        catalog.price_on(reader, "p", date(2020, 1, 1), "AUD")
    with pytest.raises(PriceVersionUnknown, match="'zzz'"):
        catalog.price_version(reader, "p", "zzz", "AUD")


def _interval(row):
    return row.part_start, row.part_end, row.amount


def _passed(point: str) -> int:
    from core import faults

    return faults._passages.get(point, 0)


def _anonymous(text: str, stage: Stage) -> str:
    return (
        text.replace(stage.account, "ACCOUNT")
        .replace(f"-{stage.number}-", "-N-")
        .replace(stage.entity, "ENTITY")
    )
