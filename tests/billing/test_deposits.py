"""Deposits on both databases: asked, billed, held, applied, forfeited, returned, credited; the books agree."""

from datetime import date

import pytest

from billing import crediting, invoices, ledger, payments
from billing.billrun import run_billing
from billing.deposits import deposits
from billing.deposits.errors import DepositNotUsable, DepositUnknown
from billing.dunning import run_dunning
from billing.errors import AmountNotPayable, CurrencyWrong, NotCreditable, PaymentKeyReused
from billing.refunding import refunds
from billing.refunding.errors import NotRefundable
from billing.runs.verify import breaches
from billing.writeoffs import writing
from core.db import Database
from core.money import Money
from tests.billing.stage import START, Stage
from tests.billing.threads import together

LATE = date(2026, 2, 1)


def take(stage: Stage, minor: int = 20_000, key: str = "d") -> str:
    """Ask for a deposit."""
    with stage.database.write() as conn:
        return deposits.take(
            conn, stage.account, Money(minor, "AUD"), f"{stage.entity}:{key}", actor="t", on=START
        )


def pay(stage: Stage, minor: int, key: str = "p"):
    """Pay."""
    with stage.database.write() as conn:
        return payments.pay(
            conn, stage.account, Money(minor, "AUD"), "cash", f"{stage.entity}:{key}", on=LATE
        )


def stands(stage: Stage) -> tuple[str, int, int]:
    """State of the one deposit, what is held of it, what the books say."""
    with stage.database.read() as conn:
        (one,) = deposits.listed(conn, stage.account)
        return one.state, one.held.minor, -ledger.balance(conn, "deposits", stage.account, "AUD").minor


def held(database: Database) -> tuple[Stage, str]:
    """An account whose deposit of 200.00 is paid."""
    stage = Stage(database)
    deposit = take(stage)
    run_billing(database, stage.reader, START)
    pay(stage, 20_000)
    return stage, deposit


def test_a_deposit_is_a_liability_without_tax_and_held_once_it_is_paid(database: Database):
    """Asked -> billed -> held; the same key again is the same deposit, another amount is refused."""
    stage = Stage(database)
    deposit = take(stage)
    assert take(stage) == deposit
    assert stands(stage) == ("asked", 0, 0)
    run_billing(database, stage.reader, START)
    assert [(one.total, one.tax) for one in stage.invoices()] == [(20_000, 0)]
    assert stands(stage) == ("billed", 0, 20_000)
    with database.write() as conn, pytest.raises(DepositNotUsable, match="not paid yet"):
        deposits.apply(conn, deposit, actor="t")
    pay(stage, 20_000)
    assert stands(stage) == ("held", 20_000, 20_000)
    with pytest.raises(PaymentKeyReused):
        take(stage, 1)
    with pytest.raises(AmountNotPayable):
        take(stage, 0, "z")
    with database.write() as conn:
        with pytest.raises(CurrencyWrong):
            deposits.take(conn, stage.account, Money(1, "EUR"), "x", actor="t")
        with pytest.raises(DepositUnknown, match="deposit list"):
            deposits.apply(conn, "dep_x", actor="t")


def test_it_pays_the_last_bill_releases_and_gives_back_the_rest(database: Database):
    """86.90 overdue and held: applied, released in the same transaction; 113.10 become credit, to be refunded."""
    stage, deposit = held(database)
    stage.add()
    run_billing(database, stage.reader, START)
    assert run_dunning(database, stage.reader, LATE).held
    with database.write() as conn:
        with pytest.raises(DepositNotUsable, match=r"owes AUD 86.90; apply it first"):
            deposits.give_back(conn, deposit, actor="t", on=LATE)
        moved = deposits.apply(conn, deposit, actor="t", on=LATE)
    assert (str(moved.amount), str(moved.left), len(moved.set_ids)) == ("AUD 86.90", "AUD 113.10", 1)
    assert stands(stage) == ("held", 11_310, 11_310)
    with database.write() as conn:
        with pytest.raises(DepositNotUsable, match="owes nothing"):
            deposits.apply(conn, deposit, actor="t", on=LATE)
        deposits.give_back(conn, deposit, actor="t", on=LATE)
    assert stands(stage) == ("used", 0, 0)
    with database.write() as conn:
        assert ledger.balance(conn, "customer-credit", stage.account, "AUD").minor == -11_310
        with pytest.raises(DepositNotUsable, match="nothing is left"):
            deposits.give_back(conn, deposit, actor="t", on=LATE)
    assert list(breaches(database)) == []


def test_forfeited_for_a_bad_debt_is_written_as_such(database: Database):
    """It pays like an application, and the books and events name it."""
    stage, deposit = held(database)
    stage.add()
    run_billing(database, stage.reader, START)
    with database.write() as conn:
        deposits.apply(conn, deposit, actor="t", on=LATE, forfeit=True)
    assert {row.kind for row in stage.ledger() if row.ledger == "deposits"} == {"invoice", "forfeited"}


def test_a_deposit_that_was_written_off_is_not_held(database: Database):
    """Nobody paid it: it is neither returned nor used, until the debt is paid after all."""
    stage = Stage(database)
    deposit = take(stage)
    run_billing(database, stage.reader, START)
    with database.write() as conn:
        writing.write(conn, stage.invoices()[0].number, actor="t", reason="never paid", relief=False, on=LATE)
    assert stands(stage) == ("written-off", 0, 20_000)
    for act in (deposits.give_back, deposits.apply):
        with database.write() as conn, pytest.raises(DepositNotUsable, match="its invoice was written off"):
            act(conn, deposit, actor="t")
    pay(stage, 20_000)
    assert stands(stage)[:2] == ("held", 20_000)


def test_a_deposit_whose_line_was_credited_is_not_held(database: Database):
    """The credit note gave it back: nothing of it can be used once more."""
    stage, deposit = held(database)
    with database.write() as conn:
        (document,) = stage.invoices()
        crediting.credit(conn, document.number, actor="t", reason="mistake", key=stage.entity)
    invoices.finalise(database)
    assert stands(stage) == ("credited", 0, 0)
    with database.write() as conn, pytest.raises(DepositNotUsable, match="was credited"):
        deposits.give_back(conn, deposit, actor="t")


def test_it_is_used_once_by_however_many(database: Database):
    """Four at once: one gives it back, three are told."""
    stage, deposit = held(database)
    told = []

    def try_it() -> None:
        try:
            with database.write() as conn:
                deposits.give_back(conn, deposit, actor="t", on=LATE)
        except DepositNotUsable as error:
            told.append(str(error))

    together(4, try_it)
    assert len(told) == 3
    assert stands(stage) == ("used", 0, 0)


def test_what_was_returned_of_a_deposit_cannot_be_credited_again(database: Database):
    """Its invoice's credit note gives back what is still held, and nothing of what is not."""
    stage, deposit = held(database)
    with database.write() as conn:
        deposits.give_back(conn, deposit, actor="t", on=LATE)
        (document,) = stage.invoices()
        with pytest.raises(NotCreditable, match="nothing is left of it"):
            crediting.credit(conn, document.id, actor="t", reason="x", key=stage.entity, on=LATE)
    assert stands(stage) == ("used", 0, 0)


def test_what_paid_a_bill_is_credited_no_more(database: Database):
    """86.90 of 200.00 paid what was owed: 113.10 are credited, and the liability is nothing, not below it."""
    stage, deposit = held(database)
    stage.add()
    run_billing(database, stage.reader, START)
    with database.write() as conn:
        deposits.apply(conn, deposit, actor="t", on=LATE)
        document = next(one for one in stage.invoices() if one.total == 20_000)
        assert crediting.preview(conn, document.id).total.minor == -11_310
        crediting.credit(conn, document.id, actor="t", reason="x", key=stage.entity, on=LATE)
    run_billing(database, stage.reader, LATE)
    with database.read() as conn:
        assert ledger.balance(conn, "deposits", stage.account, "AUD").minor == 0
    assert list(breaches(database)) == []


def test_a_deposit_that_was_returned_is_paid_out_as_a_refund(database: Database):
    """In parts, by bank and in cash, and never more than it was; the books have no credit left."""
    stage, deposit = held(database)
    with database.write() as conn:
        credit = deposits.give_back(conn, deposit, actor="t", on=LATE).payment
    for minor, method in ((15_000, "bank"), (5_000, "cash")):
        with database.write() as conn:
            money = Money(minor, "AUD")
            made = refunds.refund(
                conn,
                credit,
                money,
                key=f"{stage.entity}:{method}",
                method=method,
                actor="t",
                reason="left",
                on=LATE,
            )
            refunds.settled(conn, made, actor="t", on=LATE)
    with database.write() as conn, pytest.raises(NotRefundable, match=r"only AUD 0\.00 are left"):
        refunds.refund(
            conn,
            credit,
            Money(1, "AUD"),
            key=f"{stage.entity}:more",
            method="cash",
            actor="t",
            reason="left",
            on=LATE,
        )
    with database.read() as conn:
        for name in ("customer-credit", "deposits"):
            assert ledger.balance(conn, name, stage.account, "AUD").minor == 0
    assert list(breaches(database)) == []
