"""`breaches` finds nothing in good books, and each thing that somebody damaged."""

from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings

from billing import invoices, payments
from billing.billrun import run_billing
from billing.models import counter, invoice, invoice_line, invoice_tax, ledger_entry, payment
from billing.runs import seals
from billing.runs.verify import breaches
from core.db import Database
from tests.billing.stage import START, Stage
from tests.billing.world import MONTHS, World, worlds
from tests.support import examples

FEW = settings(
    max_examples=examples(6), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
FEB = date(2026, 2, 1)


@FEW
@given(worlds)
def test_invariants_15_20_21_27_28_29_hold_of_any_world(database: Database, told):
    """Whatever happens and is paid, month after month, there is no breach."""
    world = World(database, told)
    for month, on in enumerate(MONTHS):
        world.go(month)
        run_billing(database, world.reader, on, chunk=2)
        assert list(breaches(database)) == []


DAMAGE = {
    "a line's kind": (27, sa.update(invoice_line).values(kind="rental")),
    "a line's service": (27, sa.update(invoice_line).values(service="S-other")),
    "a line's first day": (27, sa.update(invoice_line).values(period_start=date(2020, 1, 1))),
    "a line's text": (27, sa.update(invoice_line).values(description="Something else")),
    "a line's net": (15, sa.update(invoice_line).values(net=invoice_line.c.net + 1)),
    "a tax subtotal": (15, sa.update(invoice_tax).values(tax=invoice_tax.c.tax + 1)),
    "a total": (15, sa.update(invoice).values(total=invoice.c.total + 1)),
    "a due date": (27, sa.update(invoice).values(due_on=date(2030, 1, 1))),
    "an issue date": (29, sa.update(invoice).where(invoice.c.sequence == 2).values(issued_on=date(2020, 1, 1))),
    "a seal": (27, sa.update(invoice).values(seal=None)),
    "a number": (28, sa.update(invoice).where(invoice.c.sequence == 2).values(number="INV-7")),
    "a gap": (28, sa.update(invoice).where(invoice.c.sequence == 2).values(sequence=3)),
    "a counter": (28, sa.update(counter).where(counter.c.name.like("invoice:%")).values(last=9)),
    "a leg": (20, sa.update(ledger_entry).where(ledger_entry.c.position == 0).values(amount=1)),
    "a missing leg": (21, sa.delete(ledger_entry).where(ledger_entry.c.ledger == "receivable")),
    "a mark of what is open": (21, sa.update(invoice).values(settled_on=START)),
    "a payment": (23, sa.update(payment).values(spent=True)),
}  # fmt: skip


@pytest.mark.parametrize("what", DAMAGE)
def test_each_damage_is_found_and_told(database: Database, what: str):
    """One statement of somebody at the database, and the invariant that it breaks is named."""
    number, statement = DAMAGE[what]
    stage = Stage(database)
    service = stage.add()
    run_billing(database, stage.reader, START)
    run_billing(database, stage.reader, FEB)
    with database.write() as conn:
        payments.pay(conn, stage.account, stage.money("200.00"), "cash", "k", on=FEB)
    assert service
    assert list(breaches(database)) == []
    with database.write() as conn:
        conn.execute(statement)
    assert number in {one.invariant for one in breaches(database)}


def test_what_was_sealed_before_keeps_its_seal(database: Database):
    """Version 1 covered less; such a document still verifies, and is still found when that was changed."""
    stage = Stage(database)
    stage.add()
    run_billing(database, stage.reader, START)
    with database.write() as conn:
        row = invoices.get(conn, stage.invoices()[0].id)
        lines, taxes = invoices.lines(conn, row["id"]), invoices.tax_subtotals(conn, row["id"])
        old = seals.seal(1, row, lines, taxes)
        assert old != row["seal"]
        conn.execute(sa.update(invoice).values(seal=old, seal_version=1))
    assert list(breaches(database)) == []
    with database.read() as conn:
        assert invoices.seal_of(conn, invoices.get(conn, row["id"])) == old
    with database.write() as conn:
        conn.execute(sa.update(invoice_line).values(description="Something else"))
    assert [one.invariant for one in breaches(database)] == [27]


def test_no_two_contents_have_one_text():
    """Values carry their length: moving a letter to the next value, or nothing for an empty text, is another seal."""
    whole = dict.fromkeys(seals.HEADER)
    line = dict.fromkeys(seals.LINE)
    given: list[dict[str, Any]] = [
        {"kind": "ab", "service": "c"}, {"kind": "a", "service": "bc"}, {"kind": "a", "service": ""},
             {"kind": "a", "service": None}, {"kind": "1:a", "service": "-"}]  # fmt: skip
    assert len({seals.seal(2, whole, [{**line, **one}], []) for one in given}) == len(given)
    assert seals.seal(2, whole, [line], []) != seals.seal(2, whole, [line, line], [])
