"""Papers: who sends and who gets invoices, and what was made of them."""

import sqlalchemy as sa
from alembic import op

from core.db import Json, Sequenced, UtcDateTime

revision = "billing_0009"
down_revision = "billing_0008"
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
    _taxing()
    _mailing()


def _taxing() -> None:
    op.create_table(
        "tax_exemption",
        sa.Column("seq", Sequenced, autoincrement=True, nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("category", sa.String(32), nullable=False, comment="empty: every category"),
        sa.Column(
            "code", sa.String(2), nullable=False, comment="UNTDID 5305: E, AE, Z, G, O; S: taxed again"
        ),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("certificate", sa.String(80), nullable=False),
        sa.Column("valid_from", sa.Date, nullable=False),
        sa.Column("valid_until", sa.Date, comment="exclusive; none: until further notice"),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_tax_exemption"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_tax_exemption_account_id_account"),
        comment="append only: of a day the newest row that covers it counts",
    )
    op.create_index("ix_tax_exemption_account_id", "tax_exemption", ["account_id"])
    op.create_table(
        "tax_surcharge",
        sa.Column("profile", sa.String(32), nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("valid_from", sa.Date, nullable=False),
        sa.Column("label", sa.String(80), nullable=False),
        sa.Column(
            "millionths", sa.Integer, nullable=False, comment="of each line; 0: a fixed amount or none"
        ),
        sa.Column(
            "fixed", sa.BigInteger, nullable=False, comment="for each line, in minor units of currency"
        ),
        sa.Column("currency", sa.String(3), nullable=False, comment="of the fixed amount"),
        sa.Column("kinds", Json, nullable=False, comment="kinds of lines that bear it"),
        sa.Column(
            "tax_category", sa.String(32), nullable=False, comment="how it is taxed itself; empty: not"
        ),
        sa.PrimaryKeyConstraint("profile", "name", "valid_from", name="pk_tax_surcharge"),
        comment="what is added to each line; neither part nor amount: it ended",
    )
    op.create_table(
        "tax_engine",
        sa.Column("profile", sa.String(32), nullable=False),
        sa.Column(
            "engine", sa.String(32), nullable=False, comment="name of the plugin; empty: none any more"
        ),
        sa.Column("settings", Json, nullable=False, comment="the plugin's own; secrets sealed"),
        sa.Column("fallback", sa.String(8), nullable=False, comment="park | rates, while there is no answer"),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("profile", name="pk_tax_engine"),
        comment="who says the rates of a tax profile",
    )
    op.create_table(
        "tax_answer",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("category", sa.String(32), nullable=False),
        sa.Column("billed_on", sa.Date, nullable=False),
        sa.Column("millionths", sa.Integer, nullable=False),
        sa.Column("engine", sa.String(32), nullable=False),
        sa.Column("reference", sa.String(120), nullable=False, comment="what the engine calls its answer"),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "category", "billed_on", name="pk_tax_answer"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_tax_answer_account_id_account"),
        comment="what an engine said, once for each account, category and day: never asked again",
    )


def _mailing() -> None:
    op.create_table(
        "billing_mail",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("invoice_id", sa.String(64), nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False, comment="document"),
        sa.Column("state", sa.String(8), nullable=False, comment="queued | sent | failed | bounced | none"),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("reply", sa.Text, nullable=False, comment="what the server said last, without addresses"),
        sa.Column("message_id", sa.String(160), nullable=False),
        sa.Column("made_at", UtcDateTime, nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_billing_mail"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_billing_mail_account_id_account"),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name="fk_billing_mail_invoice_id_invoice"),
        sa.UniqueConstraint("invoice_id", "purpose", name="uq_billing_mail_invoice_id_purpose"),
        comment="the delivery log: one message for each document and purpose",
    )
    op.create_index("ix_billing_mail_account_id", "billing_mail", ["account_id"])
    op.create_table(
        "billing_mail_bounce",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, comment="SHA-256 of account and address"),
        sa.Column("reply", sa.Text, nullable=False),
        sa.Column("noted_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "digest", name="pk_billing_mail_bounce"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_billing_mail_bounce_account_id_account"
        ),
        comment="addresses that a server refused for good: not tried again until a person says so",
    )
