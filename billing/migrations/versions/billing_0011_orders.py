"""Messages and letters; vouchers over HTTP; expired money; promotions that orders redeem; local days of usage."""

import sqlalchemy as sa
from alembic import op

from core.db import Json, UtcDateTime

revision = "billing_0011"
down_revision = "billing_0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables."""
    _messages()
    _prepaid()
    _promotions()
    _usage()
    if op.get_context().dialect.name == "postgresql":  # SQLite keeps no comments
        op.alter_column("wallet_movement", "kind", comment="billing.wallet.balance names them")
        op.alter_column("prepaid_service", "state", comment="ordered | open | grace | lapsed | owed | ceased")


def _messages() -> None:
    op.create_table(
        "letter_batch",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("made_on", sa.Date, nullable=False, comment="the date on the letters"),
        sa.Column("form", sa.String(8), nullable=False, comment="where the address is: din-b | c56 | us10"),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_letter_batch"),
        comment="letters that were taken to be printed together; each letter is in one",
    )
    op.create_index("ix_letter_batch_made_on", "letter_batch", ["made_on"])
    op.create_table(
        "billing_message",
        sa.Column("id", sa.String(64), nullable=False, comment="the idempotency key for a gateway, too"),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(8), nullable=False, comment="e-mail | sms | letter"),
        sa.Column("purpose", sa.String(12), nullable=False, comment="reminder | announce | notice"),
        sa.Column("source", sa.String(160), nullable=False, comment="what it is for; once for each channel"),
        sa.Column("made_on", sa.Date, nullable=False, comment="local date of the account"),
        sa.Column("facts", Json, nullable=False, comment="billing.messages.facts.Facts"),
        sa.Column(
            "state",
            sa.String(8),
            nullable=False,
            comment="waiting | queued | sent | failed | bounced | none | dropped | printed",
        ),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column(
            "reply", sa.Text, nullable=False, comment="what the other side said last, without addresses"
        ),
        sa.Column("batch_id", sa.String(64)),
        sa.Column("made_at", UtcDateTime, nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_billing_message"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_billing_message_account_id_account"),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["letter_batch.id"], name="fk_billing_message_batch_id_letter_batch"
        ),
        sa.UniqueConstraint("source", "channel", name="uq_billing_message_source_channel"),
        comment="the delivery log of what is told besides documents",
    )
    op.create_index("ix_billing_message_account_id", "billing_message", ["account_id"])
    op.create_index("ix_billing_message_batch_id", "billing_message", ["batch_id"])
    waiting = sa.text("state = 'waiting'")
    op.create_index(
        "ix_billing_message_waiting",
        "billing_message",
        ["channel", "made_on"],
        postgresql_where=waiting,
        sqlite_where=waiting,
    )


def _prepaid() -> None:
    op.create_table(
        "redemption_try",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, comment="keyed hash of an address or an account"),
        sa.Column("tried_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_redemption_try"),
        comment="redemptions over HTTP that failed, for their limits; kept for a day",
    )
    op.create_index("ix_redemption_try_tried_at", "redemption_try", ["tried_at"])
    op.create_index("ix_redemption_try_digest", "redemption_try", ["digest", "tried_at"])
    op.create_table(
        "breakage_rule",
        sa.Column("legal_entity", sa.String(32), nullable=False),
        sa.Column("what", sa.String(8), nullable=False, comment="voucher | wallet"),
        sa.Column("days", sa.Integer, nullable=False, comment="after the last day, or the last movement"),
        sa.Column("ledger", sa.String(64), nullable=False, comment="the account of the books that gets it"),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("legal_entity", "what", name="pk_breakage_rule"),
    )
    op.create_table(
        "voucher_breakage",
        sa.Column("batch", sa.String(64), nullable=False),
        sa.Column("count", sa.Integer, nullable=False, comment="vouchers that nobody redeemed"),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("ledger", sa.String(64), nullable=False),
        sa.Column("booked_on", sa.Date, nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("batch", name="pk_voucher_breakage"),
        sa.ForeignKeyConstraint(
            ["batch"], ["wallet_voucher_batch.name"], name="fk_voucher_breakage_batch_wallet_voucher_batch"
        ),
        comment="append only: what was left of a batch, once",
    )


def _promotions() -> None:
    op.create_table(
        "promotion_redemption",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("offer", sa.String(64), nullable=False),
        sa.Column("reference", sa.String(160), nullable=False, comment="the order, or service:<service>"),
        sa.Column("customer_ref", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("service", sa.String(64)),
        sa.Column("code", sa.String(64), nullable=False, comment="as it was named"),
        sa.Column("discount", Json, nullable=False, comment="billing.timeline.Discount as it was promised"),
        sa.Column("state", sa.String(8), nullable=False, comment="reserved | redeemed | released"),
        sa.Column("reserved_on", sa.Date, nullable=False, comment="local date of the account"),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_promotion_redemption"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_promotion_redemption_account_id_account"
        ),
        sa.UniqueConstraint("offer", "reference", name="uq_promotion_redemption_offer_reference"),
        comment="who may have a promotion: what is not released counts against its limit",
    )
    for column in ("customer_ref", "account_id", "service"):
        op.create_index(f"ix_promotion_redemption_{column}", "promotion_redemption", [column])
    op.create_index("ix_promotion_redemption_offer", "promotion_redemption", ["offer", "state"])


def _usage() -> None:
    op.create_table(
        "usage_cut",
        sa.Column("service", sa.String(63), nullable=False),
        sa.Column("day", sa.Date, nullable=False, comment="the local date that began"),
        sa.Column("up_octets", sa.BigInteger, nullable=False),
        sa.Column("down_octets", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("service", "day", name="pk_usage_cut"),
        comment="what the UTC day in which a local date began had counted by then; append only",
    )
    op.create_table(
        "usage_cut_run",
        sa.Column("timezone", sa.String(64), nullable=False),
        sa.Column("day", sa.Date, nullable=False, comment="the local date that began"),
        sa.Column("cut_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("timezone", "day", name="pk_usage_cut_run"),
        comment="local midnights that were noted in time: a service without a row had nothing by then",
    )
