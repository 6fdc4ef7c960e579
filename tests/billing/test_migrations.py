"""A database of an older version keeps what it has."""

from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from billing import canonical, invoices
from core import migrate
from core.db import Database, DatabaseDamaged

BEFORE: dict[str, list[dict[str, Any]]] = {
    "account": [
        {
            "id": "A-1",
            "customer_ref": "C-1",
            "currency": "AUD",
            "timezone": "Australia/Perth",
            "anchor": 1,
            "legal_entity": "west",
            "tax_profile": "default",
            "dunning_policy": "default",
            "payment_days": 14,
            "change_day": "new",
            "opened_at": "2026-01-01",
        },
    ],
    "subscription": [
        {
            "id": "sub1",
            "account_id": "A-1",
            "service": "S-1",
            "charged_through": "2026-02-01",
            "recalculate_from": "2026-01-20",
            "created_at": "2026-01-01",
        },
    ],
    "subscription_item": [{"id": "itm1", "subscription_id": "sub1", "role": "plan", "cadence_base": 24312}],
    "charge": [
        {
            "id": "chg1",
            "account_id": "A-1",
            "item_id": "itm1",
            "kind": "recurring-reversal",
            "period_start": "2026-01-01",
            "period_end": "2026-02-01",
            "part_start": "2026-01-05",
            "part_end": "2026-02-01",
            "revision": 0,
            "amount": 7900,
            "terms": "{}",
            "tax_category": "gst",
            "tax_millionths": 100000,
            "tax_inclusive": True,
        },
    ],
    "invoice": [
        {
            "id": "inv1",
            "account_id": "A-1",
            "kind": "invoice",
            "state": "draft",
            "legal_entity": "west",
            "billed_on": "2026-01-01",
            "currency": "AUD",
            "net": 14364,
            "tax": 1436,
            "total": 15800,
            "run_id": "r",
        },
    ],
    "invoice_line": [
        {
            "invoice_id": "inv1",
            "position": n,
            "charge_id": "chg1" if n == 1 else None,
            "description": "Fibre",
            "amount": 7900,
            "tax_category": "gst",
            "tax_millionths": 100000,
            "tax_inclusive": True,
        }
        for n in (1, 2)
    ],
    "ledger_transaction": [
        {
            "id": "ldg1",
            "account_id": "A-1",
            "kind": "invoice",
            "source": "inv1",
            "booked_on": "2026-01-01",
            "recorded_at": "2026-01-01",
        },
    ],
    "ledger_entry": [
        {"transaction_id": "ldg1", "position": n, "ledger": "receivable", "currency": "AUD", "amount": 0}
        for n in (0, 1)
    ],
}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def old(request, tmp_path):
    """A database before billing_0002 with one of everything that it touches."""
    if request.param == "sqlite":
        db = Database(f"sqlite:///{tmp_path / 'old.db'}")
    else:
        postgres = request.getfixturevalue("postgres")
        postgres.sql("DROP DATABASE IF EXISTS before_engine WITH (FORCE)")
        postgres.sql("CREATE DATABASE before_engine")
        db = Database(postgres.url("before_engine"))
    with db.rebuild() as conn:
        command.upgrade(migrate._config(conn), "billing_0001")
        for table, rows in BEFORE.items():
            for row in rows:
                columns, values = ", ".join(row), ", ".join(f":{name}" for name in row)
                conn.execute(sa.text(f"INSERT INTO {table} ({columns}) VALUES ({values})"), row)
    yield db
    db.close()


def test_what_was_billed_goes_on(old):
    """Items take over how far their subscription was billed, lines their kind, days, service and share of the net."""
    migrate.upgrade(old)
    migrate.upgrade(old)
    with old.read() as conn:
        said = canonical.export(conn, "A-1")
        lines = invoices.lines(conn, "inv1")
        entities = conn.execute(sa.text("SELECT legal_entity FROM ledger_transaction")).scalars().all()
        entries = conn.execute(sa.text("SELECT count(*) FROM ledger_entry")).scalar()
    assert '"charged_through":"2026-02-01","recalculate_from":"2026-01-20"' in said
    assert [line["net"] for line in lines] == [7182, 7182]
    assert [(line["kind"], line["service"], str(line["period_start"])) for line in lines] == [
        ("recurring", "S-1", "2026-01-05"), ("recurring", None, "None"),
    ]  # fmt: skip
    assert (entities, entries) == (["west"], 2)


def test_a_rebuild_that_leaves_a_row_alone_is_undone(tmp_path):
    """SQLite's foreign keys are off while tables are made anew; what would dangle is refused as a whole."""
    db = Database(f"sqlite:///{tmp_path / 'rebuilt.db'}")
    migrate.upgrade(db)
    with pytest.raises(DatabaseDamaged, match="subscription_event refers to nothing"), db.rebuild() as conn:
        conn.exec_driver_sql(
            "INSERT INTO subscription_event (item_id, kind, effective, recorded_at, actor) VALUES ('x','x','x','x','x')"
        )
    with db.read() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM subscription_event").scalar() == 0
    with pytest.raises(sa.exc.IntegrityError, match="FOREIGN KEY"), db.write() as conn:
        conn.exec_driver_sql(
            "INSERT INTO subscription_event (item_id, kind, effective, recorded_at, actor) VALUES ('x','x','x','x','x')"
        )
