"""Debts that are given up, with and without their tax; residues; and what is paid of them after all."""

from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from billing import crediting, debts, ledger, overview, payments
from billing.billrun import run_billing
from billing.books import reports, tax_due
from billing.dunning import run_dunning
from billing.explain import explain
from billing.runs.verify import breaches
from billing.writeoffs import writing
from billing.writeoffs.errors import NotWritable
from billing.writeoffs.relief import tax_of
from core.db import Database
from core.money import Money
from tests.billing.stage import START, Stage
from tests.faults_matrix import KILLED, run_child

LATER = date(2026, 3, 1)
POINTS = [writing.P_WRITTEN]
FEW = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)  # fmt: skip


def owing(database: Database) -> Stage:
    """An account that owes January."""
    stage = Stage(database)
    stage.add()
    run_billing(database, stage.reader, START)
    return stage


def write(stage: Stage, minor: int | None = None, on: date = LATER, **given) -> writing.Written:
    """Write its first invoice off."""
    with stage.database.write() as conn:
        amount = None if minor is None else Money(minor, "AUD")
        return writing.write(
            conn, stage.invoices()[0].id, actor="anna", reason="insolvent", amount=amount, on=on, **given
        )


def pay(stage: Stage, minor: int, on: date = LATER, key: str = "k") -> payments.Paid:
    """Pay."""
    with stage.database.write() as conn:
        return payments.pay(conn, stage.account, Money(minor, "AUD"), "cash", f"{stage.entity}:{key}", on=on)


def balances(stage: Stage) -> dict[str, int]:
    """What stands on each account of the books for it."""
    found: dict[str, int] = {}
    for row in stage.ledger():
        found[row.ledger] = found.get(row.ledger, 0) + row.amount
    return {name: minor for name, minor in found.items() if minor}


@pytest.mark.parametrize(("relief", "lost", "tax"), [(False, 8690, -790), (True, 7900, 0)])
def test_a_bad_debt_is_an_expense_with_or_without_its_tax(
    database: Database, relief: bool, lost: int, tax: int
):
    """Nothing is owed any more, the invoice stays as it was and says so."""
    stage = owing(database)
    done = write(stage, relief=relief)
    assert (done.amount.minor, done.left.minor, done.tax) == (8690, 0, {"gst": 790} if relief else {})
    found = balances(stage)
    assert (found["bad-debt"], found.get("tax-payable:gst", 0), found.get("receivable", 0)) == (lost, tax, 0)
    with database.read() as conn:
        (told,) = overview.invoices(conn, stage.account, today=LATER)
        assert told.state == "written-off"
        assert explain(conn, told.number)["written_off"][0]["amount"] == "AUD 86.90"
    assert list(breaches(database)) == []


def test_a_payment_brings_it_back_and_pays_it(database: Database):
    """Half of it is paid later: so much is bad debt no more, its tax is owed again, nothing is left as credit."""
    stage = owing(database)
    write(stage, relief=True)
    paid = pay(stage, 4345, LATER + timedelta(days=9))
    assert (paid.credit.minor, [share.amount for share in paid.shares]) == (0, [4345])
    found = balances(stage)
    assert (found["bad-debt"], found["tax-payable:gst"], found.get("receivable", 0)) == (3950, -395, 0)
    pay(stage, 9000, LATER + timedelta(days=10), "rest")
    found = balances(stage)
    assert (found.get("bad-debt", 0), found["tax-payable:gst"], found["customer-credit"]) == (
        0,
        -790,
        -(9000 - 4345),
    )
    assert list(breaches(database)) == []


def test_what_is_open_is_paid_before_what_was_given_up(database: Database):
    """A payment for February pays February; only what is over brings January back."""
    stage = owing(database)
    write(stage)
    run_billing(database, stage.reader, date(2026, 2, 1))
    assert len(pay(stage, 8690).shares) == 1
    assert balances(stage)["bad-debt"] == 8690


def test_what_was_waived_never_comes_back(database: Database):
    """A payment is credit then."""
    stage = owing(database)
    write(stage, recoverable=False)
    assert pay(stage, 8690).credit.minor == 8690


def test_a_credit_note_of_a_written_off_invoice_takes_the_loss_back(database: Database):
    """Nothing is lost and nothing is owed to the customer."""
    stage = owing(database)
    write(stage, relief=True)
    with database.write() as conn:
        crediting.credit(conn, stage.invoices()[0].id, actor="a", reason="r", key=stage.entity, on=LATER)
    run_billing(database, stage.reader, LATER)
    found = balances(stage)
    assert (found.get("bad-debt", 0), found.get("customer-credit", 0)) == (0, 0)


def test_writing_off_releases_and_dunning_leaves_it_alone(database: Database):
    """Invariant 30: nothing is overdue any more."""
    stage = owing(database)
    run_dunning(database, stage.reader, date(2026, 2, 1))
    assert len(write(stage).set_ids) == 1
    assert run_dunning(database, stage.reader, LATER).held == ()


def test_a_residue_is_paid_for_people_and_goes_to_rounding(database: Database):
    """Pin 4: 0.40 left is neither open nor a reason to hold; after a month it is written off, and never comes back."""
    stage, owes = owing(database), owing(database)
    pay(stage, 8650, START)
    with database.read() as conn:
        (told,) = overview.invoices(conn, stage.account, today=LATER)
        assert told.state == "paid"
        assert stage.invoices()[0].id in writing.residues(conn, LATER)
        assert owes.invoices()[0].id not in writing.residues(conn, LATER)
    with database.write() as conn:
        assert writing.write_residues(conn, actor="billing", on=date(2026, 2, 14)) == []
        done = writing.write_residues(conn, actor="billing", on=LATER)
    assert [one.amount.minor for one in done if one.invoice.startswith(f"INV-{stage.entity}-")] == [40]
    assert balances(stage)["rounding"] == 40
    assert pay(stage, 500, LATER, "later").credit.minor == 500


def test_what_cannot_be_written_off_is_one_sentence(database: Database):
    """Too much, another currency, nothing open, a draft."""
    stage = owing(database)
    with pytest.raises(NotWritable, match=r"AUD 99\.00 is not within the AUD 86\.90 that are open of it"):
        write(stage, 9900)
    with pytest.raises(NotWritable, match="after 2025-12-31"):
        write(stage, on=date(2025, 12, 31))
    with database.write() as conn, pytest.raises(NotWritable, match="it is in AUD, not in EUR"):
        writing.write(conn, stage.invoices()[0].id, actor="a", reason="r", amount=Money(1, "EUR"))
    write(stage)
    with pytest.raises(NotWritable, match="nothing of it is open"):
        write(stage)


@given(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(0, 10**6), min_size=1), st.integers(1, 10**7),
    st.lists(st.integers(0, 100), max_size=8),
)  # fmt: skip
def test_the_tax_of_parts_is_the_tax_of_the_whole(taxes, net, cuts):
    """Written off in parts, recovered in parts, in any order: it adds up to what one step would have been."""
    total = net + sum(taxes.values())
    marks = [total * cut // 100 for cut in cuts]
    sums = dict.fromkeys(taxes, 0)
    for before, after in zip([0, *marks], [*marks, total], strict=True):
        for name, minor in tax_of(taxes, total, before, after).items():
            sums[name] += minor
    assert sums == taxes


@FEW
@given(
    st.lists(
        st.tuples(st.integers(0, 25), st.sampled_from(["bill", "pay", "write", "credit", "residues"]),
                  st.integers(1, 12_000),
                  st.booleans()),
        min_size=2, max_size=9,
    )
)  # fmt: skip
def test_invariant_21_with_write_offs_at_every_as_of_date(database: Database, story):
    """Receivable = invoices - credits - allocations - write-offs on every day of any story; 20, 22 and 23 with it."""
    stage, today = owing(database), START
    for n, (days, what, minor, relief) in enumerate(story):
        today += timedelta(days=days)
        if what == "bill":
            run_billing(database, stage.reader, today)
        elif what == "pay":
            pay(stage, minor, today, str(n))
        elif what == "residues":
            with database.write() as conn:
                writing.write_residues(conn, actor="billing", on=today)
        else:
            with database.read() as conn:
                found = debts.open_balances(conn, stage.account)
            for one in found[:1]:
                with database.write() as conn:
                    part = Money(min(minor, one.balance), "AUD")
                    if what == "write":
                        writing.write(
                            conn, one.invoice, actor="a", reason="r", amount=part, relief=relief, on=today
                        )
                    else:
                        key = f"{stage.entity}:{n}"
                        given_ = {1: Money(min(minor, 100), "AUD")}
                        crediting.credit(conn, one.invoice, given_, actor="a", reason="r", key=key, on=today)
    assert list(breaches(database)) == []
    with database.read() as conn:
        for offset in range((today - START).days + 3):
            day = START + timedelta(days=offset)
            aged = {one.account: one.together.minor for one in reports.aged_receivables(conn, day)}
            booked = ledger.balance(conn, ledger.RECEIVABLE, stage.account, "AUD", day).minor
            assert aged.get(stage.account, 0) == booked >= 0
        assert ledger.balance(conn, ledger.CREDIT, stage.account, "AUD").minor <= 0
        assert ledger.balance(conn, "bad-debt", stage.account, "AUD").minor >= 0


def test_invariant_21_sees_a_write_off_that_was_tampered_with(database: Database):
    """A row changed behind billing's back is told by `verify`."""
    stage = owing(database)
    write(stage, 1000)
    with database.write() as conn:
        conn.exec_driver_sql("UPDATE write_off SET amount = 999")
    assert [one.invariant for one in breaches(database)] == [21]


@pytest.mark.parametrize("point", POINTS)
def test_killed_before_its_commit_nothing_is_written_off(database: Database, point: str):
    """And done again it is written off once."""
    stage = owing(database)
    url = database.url.render_as_string(hide_password=False)
    assert (
        run_child("tests.billing.doomed_write_off", [url, stage.invoices()[0].id], point).returncode == KILLED
    )
    assert balances(stage)["receivable"] == 8690
    write(stage)
    assert list(breaches(database)) == []


def credit(stage: Stage, minor: int | None = None, on: date = LATER) -> None:
    """Credit its first invoice, or a part of its first line as listed, and give the note its number."""
    parts = None if minor is None else {1: Money(minor, "AUD")}
    with stage.database.write() as conn:
        crediting.credit(
            conn,
            stage.invoices()[0].id,
            parts,
            actor="anna",
            reason="mistake",
            key=f"{stage.entity}:{minor}",
            on=on,
        )
    run_billing(stage.database, stage.reader, on)


@pytest.mark.parametrize("relief", [False, True])
@pytest.mark.parametrize("recoverable", [False, True])
def test_what_is_credited_was_no_bad_debt(database: Database, relief: bool, recoverable: bool):
    """Written off, waived or not, and then credited: the debt is gone once, with its tax; nobody has credit of it."""
    stage = owing(database)
    before = balances(stage)
    write(stage, relief=relief, recoverable=recoverable)
    credit(stage)
    found = balances(stage)
    month_later = {
        name: found.get(name, 0) for name in ("receivable", "customer-credit", "bad-debt", "tax-payable:gst")
    }
    assert before["receivable"] == 8690
    # February and March are billed meanwhile, and nothing of them is paid.
    assert month_later == {
        "receivable": 2 * 8690,
        "customer-credit": 0,
        "bad-debt": 0,
        "tax-payable:gst": -2 * 790,
    }
    with database.read() as conn:
        assert payments.credit(conn, _account(conn, stage)).minor == 0
    assert list(breaches(database)) == []


def test_a_part_that_is_credited_takes_so_much_of_the_write_off_back(database: Database):
    """60.00 were paid, 26.90 written off, 11.00 credited: 15.90 of it stays a bad debt, and no credit is left over."""
    stage = owing(database)
    pay(stage, 6000)
    write(stage)
    credit(stage, 1000)
    found = balances(stage)
    assert (found["bad-debt"], found.get("customer-credit", 0)) == (1590, 0)
    assert list(breaches(database)) == []


def test_a_credit_note_pays_the_invoice_that_it_credits_first(database: Database):
    """An older invoice stays open: what was wrong is not owed, what was right is."""
    stage = owing(database)
    run_billing(database, stage.reader, date(2026, 2, 1))
    first, second = sorted(stage.invoices(), key=lambda one: one.due_on)
    with database.write() as conn:
        crediting.credit(
            conn, second.id, actor="anna", reason="mistake", key=f"{stage.entity}:second", on=date(2026, 2, 2)
        )
    run_billing(database, stage.reader, date(2026, 2, 2))
    with database.read() as conn:
        assert [one.invoice for one in debts.open_balances(conn, stage.account)] == [first.id]


def _account(conn, stage: Stage):
    from billing import accounts

    return accounts.get(conn, stage.account)


def test_the_tax_of_a_period_ties_to_the_ledger_with_what_came_back(database: Database):
    """Written off with its tax in March, half of it paid in April, and an entry that nobody knows of is told."""
    stage = owing(database)
    write(stage, relief=True)
    pay(stage, 2 * 4345 + 4345, LATER + timedelta(days=40))
    march, april, later = date(2026, 3, 1), date(2026, 4, 1), date(2026, 5, 1)
    with database.read() as conn:
        first, second = tax_due.relief(conn, march, april), tax_due.relief(conn, april, later)
        assert [(one.category, one.tax.minor, one.write_offs) for one in first] == [("gst", -790, 1)]
        assert [one.tax.minor for one in second] == [790]
        for since, until in ((START, march), (march, april), (april, later), (START, later)):
            assert tax_due.apart(conn, since, until) == []
    with database.write() as conn:
        books = ledger.Books(stage.entity, stage.account)
        legs = [ledger.Entry("tax-payable:gst", Money(5, "AUD")), ledger.Entry("rounding", Money(-5, "AUD"))]
        ledger.book(conn, books, "adjustment", "by-hand", april, legs)
    with database.read() as conn:
        (told,) = tax_due.apart(conn, april, later)
    assert told.startswith("gst of ")
    assert told.endswith("the ledger AUD 7.85")
