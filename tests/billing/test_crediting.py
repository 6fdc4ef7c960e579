"""Credit notes by a person: never more than there is, and all parts together exactly the invoice."""

from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing import billables, crediting, debts, invoices, parked, subscriptions, taxes
from billing.billables import Billable
from billing.billrun import run_billing
from billing.errors import InvoiceUnknown, NotCreditable
from billing.ledger import trial_balance
from billing.models import invoice
from core.db import Database
from core.money import Money
from tests.billing.stage import START, Stage

FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LATER = date(2026, 1, 5)


def billed(database: Database, amounts: list[int], categories: list[str] | None = None) -> tuple[Stage, Any]:
    """An account with one final invoice of these amounts; `vat` is inside the prices, `gst` on top."""
    stage = Stage(database)
    with database.write() as conn:
        taxes.set_rate(conn, "vat", "19%", profile=stage.entity, valid_from=date(2000, 1, 1), inclusive=True)
        for number, minor in enumerate(amounts):
            category = categories[number] if categories else "gst"
            one = Billable(account=stage.account, kind="one-off", source=f"{stage.entity}:{number:03d}", tax=category,
                           description=f"Thing {number}", amount=Money(minor, "AUD"), billed_from=START)  # fmt: skip
            billables.add(conn, one, actor="test")
    run_billing(database, stage.reader, START)
    return stage, stage.invoices()[0]


def credit(stage: Stage, made: Any, parts: Any = None, key: str = "k") -> str:
    """Credit parts of an invoice."""
    with stage.database.write() as conn:
        return crediting.credit(
            conn, made.id, parts, actor="anna", reason="goodwill", key=f"{stage.entity}:{key}", on=LATER
        )


def notes(stage: Stage) -> list[Any]:
    """Its credit notes that are not void."""
    query = sa.select(invoice).where(invoice.c.account_id == stage.account, invoice.c.kind == "credit-note")
    with stage.database.read() as conn:
        return list(conn.execute(query.where(invoice.c.state != "void").order_by(invoice.c.id)))


lines = st.lists(st.tuples(st.integers(1, 9999), st.sampled_from(["gst", "vat", ""])), min_size=1, max_size=5)
shares = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 9999)), max_size=6)


@FEW
@given(lines, shares)
def test_invariants_18_and_19_parts_never_exceed_and_together_are_the_invoice(database, lines, shares):
    """Any parts in any order, then the rest: net, tax and total are the invoice's to the cent."""
    stage, made = billed(database, [minor for minor, _ in lines], [category for _, category in lines])
    left = [minor for minor, _ in lines]
    for number, (index, minor) in enumerate(shares):
        parts = {index % len(left) + 1: Money(minor, "AUD")}
        if minor <= left[index % len(left)]:
            credit(stage, made, parts, f"{number}")
            left[index % len(left)] -= minor
        else:
            with pytest.raises(NotCreditable):
                credit(stage, made, parts, f"{number}")
        assert -sum(note.total for note in notes(stage)) <= made.total
    if any(left):
        credit(stage, made, None, "rest")
    found = notes(stage)
    assert [-sum(getattr(note, name) for note in found) for name in ("net", "tax", "total")] == [
        made.net, made.tax, made.total,
    ]  # fmt: skip
    with pytest.raises(NotCreditable, match="nothing is left"):
        credit(stage, made, None, "more")


def test_a_note_gets_its_own_number_and_pays_the_debt(database: Database):
    """Numbered in its own series, booked, and used for the oldest debt; asked again, nothing more happens."""
    stage, made = billed(database, [10_000, 3_333])
    assert credit(stage, made, {2: None}) == credit(stage, made, {2: None})
    invoices.finalise(database)
    (note,) = notes(stage)
    assert (note.number, note.net, note.tax, note.total) == (f"CN-{stage.entity}-000001", -3333, -333, -3666)
    with database.read() as conn:
        (open_,) = debts.open_balances(conn, stage.account)
        assert open_.balance == made.total - 3666
        assert sum(trial_balance(conn).values()) == 0
        (line,) = invoices.lines(conn, note.id)
        assert (line["credits_invoice"], line["credits_position"]) == (made.id, 2)


def test_three_thirds_of_a_line_carry_the_tax_residue_on_the_last(database: Database):
    """Classic bug: credit notes a cent off."""
    stage, made = billed(database, [100, 100, 100])
    for position in (1, 2, 3):
        credit(stage, made, {position: Money(33, "AUD")}, f"a{position}")
        credit(stage, made, {position: None}, f"b{position}")
    assert sum(note.tax for note in notes(stage)) == -made.tax == -30


def test_a_discount_is_not_credited_away_from_under_the_total(database: Database):
    """Crediting only the dear line of a discounted invoice would give more than was asked for."""
    stage, made = billed(database, [10_000, -4_000])
    with pytest.raises(NotCreditable, match=r"AUD 66\.00 of it is left"):
        credit(stage, made, {1: None})
    credit(stage, made)
    assert [note.total for note in notes(stage)] == [-6600]


def test_a_voided_note_credits_nothing(database: Database):
    """It may be made again."""
    stage, made = billed(database, [1000])
    note = credit(stage, made)
    with database.write() as conn:
        invoices.void(conn, note)
    credit(stage, made, None, "again")
    assert [one.total for one in notes(stage)] == [-1100]


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({7: None}, "it has no line 7"),
        ({1: Money(1001, "AUD")}, "AUD 10.01 of line 1 is not within the AUD 10.00 left of it"),
        ({1: Money(0, "AUD")}, "not within"),
        ({1: Money(5, "EUR")}, "it is in AUD, not in EUR"),
    ],
)
def test_a_mistake_is_one_sentence(database: Database, parts, told):
    """What cannot be credited, and why; nothing is kept."""
    stage, made = billed(database, [1000])
    with pytest.raises(NotCreditable, match=told):
        credit(stage, made, parts)
    assert notes(stage) == []
    with pytest.raises(InvoiceUnknown), database.read() as conn:
        crediting.preview(conn, "INV-nowhere")


def _paused(stage: Stage, service: str, since: date, until: date) -> None:
    with stage.database.write() as conn:
        subscriptions.block(conn, service, since, "anna")
        subscriptions.unblock(conn, service, until, "anna")


def _month(database: Database) -> tuple[Stage, str, Any]:
    """An account whose January is billed: 79.00 and its tax."""
    stage = Stage(database)
    service = stage.add()
    run_billing(database, stage.reader, START)
    return stage, service, stage.invoices()[0]


def test_days_that_were_credited_are_not_taken_back_as_well(database: Database):
    """January is credited, and then it is told that it was a pause: a person looks first, who may bill it all the same.
    Half of it credited, and less than half paused, is what the two are together.
    """
    stage, service, made = _month(database)
    credit(stage, made)
    run_billing(database, stage.reader, LATER)
    _paused(stage, service, START, date(2026, 2, 1))
    parked_ = run_billing(database, stage.reader, LATER).parked
    assert list(parked_) == [stage.account]
    assert (
        "credited days that are taken back now, and AUD 79.00 would be given twice" in parked_[stage.account]
    )
    assert sum(one.total for one in stage.invoices()) == 0
    with database.write() as conn:
        parked.accept(conn, stage.account, "anna")
    run_billing(database, stage.reader, LATER)
    assert sum(one.total for one in stage.invoices()) == -8690


def test_a_part_that_was_credited_and_a_part_that_was_paused_are_given_once_each(database: Database):
    """10.00 for an outage, ten days of a pause: nothing is given twice, and nobody has to look."""
    stage, service, made = _month(database)
    credit(stage, made, {1: Money(1000, "AUD")})
    run_billing(database, stage.reader, LATER)
    _paused(stage, service, date(2026, 1, 10), date(2026, 1, 20))
    assert run_billing(database, stage.reader, LATER).parked == {}
    assert stage.net() == 7900 - 2548
    assert sum(one.total for one in stage.invoices()) == 8690 - 1100 - 2803


def test_days_that_a_later_bill_took_back_cannot_be_credited(database: Database):
    """The pause is billed first: its line has nothing left that a person could give."""
    stage, service, made = _month(database)
    _paused(stage, service, START, date(2026, 2, 1))
    run_billing(database, stage.reader, LATER)
    with pytest.raises(NotCreditable, match="a later bill took its days back"):
        credit(stage, made)
    with pytest.raises(NotCreditable, match="it has no line 7"):
        credit(stage, made, {7: None}, "other")
    assert sum(one.total for one in stage.invoices()) == 0


def test_a_credit_note_is_not_credited(database: Database):
    """It says what it is, and what to do instead."""
    stage, made = billed(database, [5000])
    note = credit(stage, made)
    with (
        database.write() as conn,
        pytest.raises(NotCreditable, match="it is draft; a draft is voided instead"),
    ):
        crediting.credit(conn, note, actor="anna", reason="x", key=f"{stage.entity}:draft")
    run_billing(database, stage.reader, LATER)
    with (
        database.write() as conn,
        pytest.raises(NotCreditable, match="it is a credit note; bill what it gave"),
    ):
        crediting.credit(conn, note, actor="anna", reason="x", key=f"{stage.entity}:note")
