"""Items carry how far they are billed; billables; lines say where they stand in the books; entities in the ledger."""

from itertools import groupby

import sqlalchemy as sa
from alembic import op

from billing.tax import Rate, Taxable, nets
from core.db import Json, UtcDateTime
from core.money import Money

revision = "billing_0002"
down_revision = "billing_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add, fill, then require."""
    _items()
    _charges()
    _billables()
    _lines()
    _ledger()


def _items() -> None:
    with op.batch_alter_table("subscription_item") as table:
        table.add_column(sa.Column("label", sa.String(64), nullable=False, server_default=""))
        table.add_column(sa.Column("charged_through", sa.Date, comment="billed up to this day, exclusive"))
        table.add_column(
            sa.Column(
                "recalculate_from", sa.Date, comment="an event since the last run reaches back to this day"
            )
        )
        table.drop_constraint("uq_subscription_item_subscription_id_role", type_="unique")
        table.create_unique_constraint(
            "uq_subscription_item_subscription_id_role_label", ["subscription_id", "role", "label"]
        )
    for column in ("charged_through", "recalculate_from"):
        op.create_index(f"ix_subscription_item_{column}", "subscription_item", [column])
        op.execute(
            f"UPDATE subscription_item SET {column} = "  # noqa: S608 (our own two names)
            f"(SELECT {column} FROM subscription WHERE subscription.id = subscription_id)"
        )
    with op.batch_alter_table("subscription_item") as table:
        table.alter_column("label", server_default=None)
    with op.batch_alter_table("subscription") as table:
        table.drop_column("charged_through")
        table.drop_column("recalculate_from")


def _charges() -> None:
    """Periods of two rhythms that begin on one day are apart."""
    with op.batch_alter_table("charge") as table:
        table.drop_constraint("uq_charge_interval", type_="unique")
        table.create_unique_constraint(
            "uq_charge_interval",
            ["item_id", "period_start", "period_end", "part_start", "kind", "revision"],
        )


def _billables() -> None:
    op.create_table(
        "billable",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("source", sa.String(160), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("service", sa.String(64)),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("tax_category", sa.String(32), nullable=False),
        sa.Column("billed_from", sa.Date, nullable=False),
        sa.Column("period_start", sa.Date),
        sa.Column("period_end", sa.Date),
        sa.Column("why", Json, nullable=False),
        sa.Column("invoice_id", sa.String(64)),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_billable_account_id"),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name="fk_billable_invoice_id"),
        sa.PrimaryKeyConstraint("id", name="pk_billable"),
        sa.UniqueConstraint("source", "revision", name="uq_billable_source_revision"),
        comment="what no timeline says: fees, usage, rental of a month, deposits, credits; the next run bills it",
    )
    op.create_index("ix_billable_account_id", "billable", ["account_id"])
    op.create_index("ix_billable_invoice_id", "billable", ["invoice_id"])
    waiting = sa.text("invoice_id IS NULL")
    op.create_index(
        "ix_billable_waiting", "billable", ["billed_from"], postgresql_where=waiting, sqlite_where=waiting
    )


def _lines() -> None:
    with op.batch_alter_table("invoice_line") as table:
        table.add_column(sa.Column("billable_id", sa.String(64)))
        table.add_column(sa.Column("kind", sa.String(16), nullable=False, server_default="recurring"))
        table.add_column(sa.Column("service", sa.String(64)))
        table.add_column(sa.Column("period_start", sa.Date))
        table.add_column(sa.Column("period_end", sa.Date))
        table.add_column(sa.Column("net", sa.BigInteger, nullable=False, server_default="0"))
        table.add_column(sa.Column("credits_invoice", sa.String(64)))
        table.add_column(sa.Column("credits_position", sa.Integer))
        table.create_foreign_key("fk_invoice_line_billable_id", "billable", ["billable_id"], ["id"])
        table.create_foreign_key("fk_invoice_line_credits_invoice", "invoice", ["credits_invoice"], ["id"])
    op.create_index("ix_invoice_line_billable_id", "invoice_line", ["billable_id"])
    op.create_index("ix_invoice_line_credits_invoice", "invoice_line", ["credits_invoice"])
    charge = "FROM charge WHERE charge.id = charge_id"
    op.execute(
        f"UPDATE invoice_line SET kind = (SELECT replace(kind, '-reversal', '') {charge}), "  # noqa: S608
        f"period_start = (SELECT part_start {charge}), period_end = (SELECT part_end {charge}), "
        "service = (SELECT service FROM charge JOIN subscription_item ON subscription_item.id = item_id "
        "JOIN subscription ON subscription.id = subscription_id WHERE charge.id = charge_id) "
        "WHERE charge_id IS NOT NULL"
    )
    op.execute("UPDATE invoice_line SET net = amount")
    _nets_of_inclusive_lines()
    with op.batch_alter_table("invoice_line") as table:
        table.alter_column("kind", server_default=None)
        table.alter_column("net", server_default=None)


def _nets_of_inclusive_lines() -> None:
    """Lines whose price contains the tax: an invoice's bases spread over its lines, as new ones are."""
    conn = op.get_bind()
    found = conn.execute(
        sa.text(
            "SELECT invoice_id, position, amount, tax_category, tax_millionths FROM invoice_line "
            "WHERE tax_inclusive ORDER BY invoice_id, position"
        )
    ).all()
    for invoice, lines in groupby(found, key=lambda row: row.invoice_id):
        rows = list(lines)
        taxable = [
            Taxable(Money(row.amount, "XXX"), Rate(row.tax_category, row.tax_millionths, inclusive=True))
            for row in rows
        ]
        for row, net in zip(rows, nets(taxable), strict=True):
            conn.execute(
                sa.text("UPDATE invoice_line SET net = :net WHERE invoice_id = :i AND position = :p"),
                {"net": net.minor, "i": invoice, "p": row.position},
            )


def _ledger() -> None:
    with op.batch_alter_table("ledger_transaction") as table:
        table.add_column(sa.Column("legal_entity", sa.String(32), nullable=False, server_default="main"))
        table.alter_column("account_id", existing_type=sa.String(64), nullable=True)
    op.create_index("ix_ledger_transaction_legal_entity", "ledger_transaction", ["legal_entity"])
    op.execute(
        "UPDATE ledger_transaction SET legal_entity = "
        "(SELECT legal_entity FROM account WHERE account.id = account_id) WHERE account_id IS NOT NULL"
    )
    with op.batch_alter_table("ledger_transaction") as table:
        table.alter_column("legal_entity", server_default=None)
