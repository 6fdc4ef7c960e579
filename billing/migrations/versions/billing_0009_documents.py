"""Papers: who sends and who gets invoices, and what was made of them."""

import sqlalchemy as sa
from alembic import op

from core.db import Json, Sequenced, UtcDateTime

revision = "billing_0009"
down_revision = "billing_0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables."""
    op.create_table(
        "seller_version",
        sa.Column("seq", Sequenced, autoincrement=True, nullable=False),
        sa.Column("legal_entity", sa.String(32), nullable=False),
        sa.Column("content", Json, nullable=False, comment="billing.papers.parties.Seller"),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_seller_version"),
        comment="what stood in trunkline.yaml about a legal entity from a moment on; append only",
    )
    op.create_index("ix_seller_version_legal_entity", "seller_version", ["legal_entity"])
    op.create_table(
        "billing_contact",
        sa.Column("seq", Sequenced, autoincrement=True, nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column(
            "personal",
            sa.Text,
            nullable=False,
            comment="billing.papers.parties.Party, sealed with the data key",
        ),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_billing_contact"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_billing_contact_account_id_account"),
        comment="to whom an account's invoices are addressed from a moment on; append only",
    )
    op.create_index("ix_billing_contact_account_id", "billing_contact", ["account_id"])
    op.create_table(
        "invoice_paper",
        sa.Column("invoice_id", sa.String(64), nullable=False),
        sa.Column("form", sa.String(8), nullable=False, comment="pdf | xml"),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, comment="SHA-256 of the content"),
        sa.Column("made_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("invoice_id", "form", name="pk_invoice_paper"),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name="fk_invoice_paper_invoice_id_invoice"),
        comment="what a customer was shown: made once, never again",
    )
