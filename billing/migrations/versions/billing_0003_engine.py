"""What a run over everybody needs: the terms that an item renews at, and indexes without the rows that have nothing."""

import sqlalchemy as sa
from alembic import op

from core.db import Json

revision = "billing_0003"
down_revision = "billing_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add, fill, and trade indexes. Every item's first run asks its timeline; from then on it renews."""
    _items()
    _documents()
    with op.batch_alter_table("payment") as table:
        table.add_column(
            sa.Column(
                "spent",
                sa.Boolean,
                nullable=False,
                server_default=sa.false(),
                comment="wholly allocated: numbering need not ask; whoever takes an allocation back clears it",
            )
        )
    _where("ix_payment_unspent", "payment", "NOT spent", "account_id")
    op.execute(
        "UPDATE payment SET spent = true WHERE amount = "
        "(SELECT coalesce(sum(amount), 0) FROM payment_allocation WHERE payment_id = payment.id)"
    )


def _items() -> None:
    op.create_table(
        "pinned_terms",
        sa.Column("id", sa.String(64), nullable=False, comment="SHA-256 of the terms"),
        sa.Column("months", sa.Integer, nullable=False),
        sa.Column("terms", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_pinned_terms"),
        comment="each price version that some item renews at, once",
    )
    op.drop_index("ix_subscription_item_recalculate_from", "subscription_item")
    op.drop_index("ix_subscription_item_subscription_id", "subscription_item")
    with op.batch_alter_table("subscription_item") as table:
        table.add_column(
            sa.Column(
                "renews",
                sa.String(64),
                comment="what each whole period after charged_through costs; none: only the timeline knows",
            )
        )
        table.create_foreign_key("fk_subscription_item_renews", "pinned_terms", ["renews"], ["id"])
    _where(
        "ix_subscription_item_recalculate_from",
        "subscription_item",
        "recalculate_from IS NOT NULL",
        "recalculate_from",
    )
    op.drop_index("ix_charge_item_id", "charge")
    with op.batch_alter_table("charge") as table:
        table.drop_constraint("uq_charge_reverses", type_="unique")
    _where("uq_charge_reverses", "charge", "reverses IS NOT NULL", "reverses", unique=True)


def _documents() -> None:
    op.drop_index("ix_invoice_state", "invoice")
    with op.batch_alter_table("invoice") as table:
        table.add_column(
            sa.Column("seal_version", sa.Integer, comment="what the seal covers: billing.runs.seals")
        )
    op.execute("UPDATE invoice SET seal_version = 1 WHERE seal IS NOT NULL")
    op.create_index("ix_invoice_billed_on", "invoice", ["billed_on"])
    _where("ix_invoice_draft", "invoice", "state = 'draft'", "legal_entity", "kind", "account_id", "id")
    for column in ("billable_id", "credits_invoice"):
        op.drop_index(f"ix_invoice_line_{column}", "invoice_line")
        _where(f"ix_invoice_line_{column}", "invoice_line", f"{column} IS NOT NULL", column)


def _where(name: str, table: str, condition: str, *columns: str, unique: bool = False) -> None:
    told = sa.text(condition)
    op.create_index(name, table, list(columns), unique=unique, postgresql_where=told, sqlite_where=told)
