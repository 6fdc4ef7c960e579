"""Refunds under concurrency, and a database of an older version that gets outflows."""

from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from billing import debts
from billing.models import allocation, payment
from billing.refunding import byhand
from billing.refunding.errors import NotChargeable, NotRefundable
from core import migrate
from core.db import Database
from tests.billing.test_refunding import chargeback, credit, do, open_of, owing, pay, refund, require_sound
from tests.billing.threads import together

OLD: dict[str, list[dict[str, Any]]] = {
    "account": [
        {
            "id": "A-1", "customer_ref": "C-1", "currency": "AUD", "timezone": "Australia/Perth", "anchor": 1,
            "legal_entity": "main", "tax_profile": "default", "dunning_policy": "default", "payment_days": 14,
            "change_day": "new", "opened_at": "2026-01-01",
        },
    ],
    "invoice": [
        {
            "id": "inv1", "account_id": "A-1", "kind": "invoice", "state": "final", "legal_entity": "main",
            "number": "INV-000001", "sequence": 1, "billed_on": "2026-01-01", "issued_on": "2026-01-01",
            "due_on": "2026-01-15", "currency": "AUD", "net": 1000, "tax": 0, "total": 1000, "run_id": "r",
        },
    ],
    "payment": [
        {
            "id": "pay1", "account_id": "A-1", "kind": "receipt", "currency": "AUD", "amount": 700, "method": "bank",
            "idempotency_key": "k", "received_at": "2026-01-02", "actor": "x", "sets": "[]", "spent": True,
        },
    ],
    "payment_allocation": [
        {"payment_id": "pay1", "invoice_id": "inv1", "amount": 700, "allocated_on": "2026-01-02"}
    ],
}  # fmt: skip


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def old(request, tmp_path):
    """A database of billing_0003 with an invoice that is partly paid."""
    if request.param == "sqlite":
        db = Database(f"sqlite:///{tmp_path / 'old.db'}")
    else:
        postgres = request.getfixturevalue("postgres")
        postgres.sql("DROP DATABASE IF EXISTS before_refunds WITH (FORCE)")
        postgres.sql("CREATE DATABASE before_refunds")
        db = Database(postgres.url("before_refunds"))
    with db.rebuild() as conn:
        command.upgrade(migrate._config(conn), "billing_0003")
        for table, rows in OLD.items():
            for row in rows:
                columns, values = ", ".join(row), ", ".join(f":{name}" for name in row)
                conn.execute(sa.text(f"INSERT INTO {table} ({columns}) VALUES ({values})"), row)
    yield db
    db.close()


def test_what_was_paid_stays_paid_and_may_be_taken_back_now(old):
    """The allocation is there, one below zero goes in, one of nothing does not."""
    migrate.upgrade(old)
    with old.read() as conn:
        assert [one.balance for one in debts.open_balances(conn, "A-1")] == [300]
        row = conn.execute(sa.select(payment, debts.UNAPPLIED.label("unapplied"))).one()
        assert (row.by_hand, row.named, int(row.unapplied), row.spent) == (False, None, 0, True)
    with old.write() as conn:
        byhand.unallocate(conn, "pay1", "INV-000001", actor="anna")
    with old.read() as conn:
        assert [one.balance for one in debts.open_balances(conn, "A-1")] == [1000]
    values = {"payment_id": "pay1", "invoice_id": "inv1", "amount": 0, "allocated_on": sa.func.current_date()}
    with pytest.raises(sa.exc.IntegrityError), old.write() as conn:
        conn.execute(sa.insert(allocation).values(**values))


def test_invariant_24_many_at_once_never_give_back_more_than_was_captured(database: Database):
    """Twelve refunds and chargebacks of 5.00 at once of a payment of 20.00: four happen, the books are sound."""
    stage = owing(database, 1_000)
    one = pay(stage, 2_000)
    do(stage, byhand.unallocate, one, stage.invoices()[0].number)
    keys = iter(range(100))
    refused: list[Exception] = []

    def back() -> None:
        for what in (refund, chargeback, refund):
            try:
                what(stage, one, 500, f"at-once-{next(keys)}")
            except (NotRefundable, NotChargeable) as error:
                refused.append(error)

    together(4, back)
    assert (len(refused), credit(stage), open_of(stage)) == (8, 0, {"1": 1_000})
    require_sound(stage)


def test_one_key_at_once_is_one_refund(database: Database):
    """Four clicks on one button."""
    stage = owing(database)
    one = pay(stage, 2_000)
    together(4, lambda: refund(stage, one, 500, "same"))
    assert credit(stage) == 1_500
    require_sound(stage)
