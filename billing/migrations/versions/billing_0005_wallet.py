"""Prepaid wallets and vouchers, deposits, the agenda; a service may go to another account."""

import sqlalchemy as sa
from alembic import op

from core.db import Json, UtcDateTime

revision = "billing_0005"
down_revision = "billing_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables; the name of a service is unique among the subscriptions that still have it."""
    with op.batch_alter_table("subscription") as table:
        table.drop_constraint("uq_subscription_service", type_="unique")
        table.add_column(
            sa.Column("left_on", sa.Date, comment="from this day on another account has the service")
        )
    op.create_index("ix_subscription_service", "subscription", ["service"])
    _where("uq_subscription_service", "subscription", "left_on IS NULL", "service", unique=True)
    _wallets()
    _vouchers()
    _deposits()
    _agenda()


def _wallets() -> None:
    op.create_table(
        "wallet_movement",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False, comment="top-up | voucher | fee | payout"),
        sa.Column("source", sa.String(160), nullable=False, comment="what it is for; once for each kind"),
        sa.Column("amount", sa.BigInteger, nullable=False, comment="minor units; negative: taken out"),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("moved_on", sa.Date, nullable=False, comment="local date of the account"),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.CheckConstraint("amount <> 0", name="ck_wallet_movement_amount"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_wallet_movement_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_wallet_movement"),
        sa.UniqueConstraint("kind", "source", name="uq_wallet_movement_kind_source"),
        comment="append only: the wallet of an account is the sum",
    )
    op.create_index("ix_wallet_movement_account_id", "wallet_movement", ["account_id"])
    op.create_table(
        "prepaid_service",
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("state", sa.String(8), nullable=False, comment="ordered | open | grace | lapsed | ceased"),
        sa.Column("plan_name", sa.Text, nullable=False, comment="as the customer knows it"),
        sa.Column("terms", Json, nullable=False, comment="the pinned price version: what a period costs"),
        sa.Column("exhausted", sa.String(16), nullable=False, comment="what the service gets without credit"),
        sa.Column("grace_days", sa.Integer, nullable=False),
        sa.Column("rhythm_from", sa.Date, comment="periods are counted from this day until they lapse"),
        sa.Column("paid_until", sa.Date, comment="bought up to this day, exclusive"),
        sa.Column("held", sa.Boolean, nullable=False, comment="what billing last asked for or was told"),
        sa.Column(
            "lifted", sa.Boolean, nullable=False, comment="somebody else lifted the hold of this lapse"
        ),
        sa.Column("set_id", sa.String(64), comment="the change set that asked last"),
        sa.Column("warned_for", sa.Date, comment="the end of the period for which a low balance was told"),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_prepaid_service_account_id"),
        sa.PrimaryKeyConstraint("service", name="pk_prepaid_service"),
    )
    op.create_index("ix_prepaid_service_account_id", "prepaid_service", ["account_id"])
    op.create_index("ix_prepaid_service_set_id", "prepaid_service", ["set_id"])


def _vouchers() -> None:
    op.create_table(
        "wallet_voucher_batch",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("legal_entity", sa.String(32), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False, comment="of one voucher, minor units"),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column(
            "expires_on", sa.Date, nullable=False, comment="last day; where the redeeming account lives"
        ),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("made_at", UtcDateTime, nullable=False),
        sa.Column("sold_on", sa.Date),
        sa.Column("sold_for", sa.BigInteger, comment="what came in for the whole batch"),
        sa.Column("voided_at", UtcDateTime),
        sa.Column("voided_by", sa.String(80)),
        sa.PrimaryKeyConstraint("name", name="pk_wallet_voucher_batch"),
    )
    op.create_table(
        "wallet_voucher",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("batch", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, comment="HMAC-SHA-256 of the code"),
        sa.Column("redeemed_at", UtcDateTime),
        sa.Column("redeemed_by", sa.String(64)),
        sa.ForeignKeyConstraint(["batch"], ["wallet_voucher_batch.name"], name="fk_wallet_voucher_batch"),
        sa.ForeignKeyConstraint(["redeemed_by"], ["account.id"], name="fk_wallet_voucher_redeemed_by"),
        sa.PrimaryKeyConstraint("id", name="pk_wallet_voucher"),
        sa.UniqueConstraint("digest", name="uq_wallet_voucher_digest"),
        comment="a code is printed once and kept as a keyed hash only",
    )
    op.create_index("ix_wallet_voucher_batch", "wallet_voucher", ["batch"])
    op.create_table(
        "wallet_voucher_guess",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("guessed_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_wallet_voucher_guess_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_wallet_voucher_guess"),
        comment="codes that no voucher has, for the limit of guesses; kept for a day",
    )
    op.create_index(
        "ix_wallet_voucher_guess_account_id", "wallet_voucher_guess", ["account_id", "guessed_at"]
    )
    op.create_index("ix_wallet_voucher_guess_guessed_at", "wallet_voucher_guess", ["guessed_at"])


def _deposits() -> None:
    op.create_table(
        "deposit",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("service", sa.String(64)),
        sa.Column("asked_on", sa.Date, nullable=False),
        sa.Column("billable_id", sa.String(64), nullable=False),
        sa.Column("idempotency_key", sa.String(120), nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.CheckConstraint("amount > 0", name="ck_deposit_amount"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_deposit_account_id"),
        sa.ForeignKeyConstraint(["billable_id"], ["billable.id"], name="fk_deposit_billable_id"),
        sa.PrimaryKeyConstraint("id", name="pk_deposit"),
        sa.UniqueConstraint("billable_id", name="uq_deposit_billable_id"),
        sa.UniqueConstraint("idempotency_key", name="uq_deposit_idempotency_key"),
    )
    op.create_index("ix_deposit_account_id", "deposit", ["account_id"])
    op.create_table(
        "deposit_movement",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("deposit_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False, comment="applied | returned | forfeited"),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("payment_id", sa.String(64), nullable=False),
        sa.Column("moved_on", sa.Date, nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.CheckConstraint("amount > 0", name="ck_deposit_movement_amount"),
        sa.ForeignKeyConstraint(["deposit_id"], ["deposit.id"], name="fk_deposit_movement_deposit_id"),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name="fk_deposit_movement_payment_id"),
        sa.PrimaryKeyConstraint("id", name="pk_deposit_movement"),
        comment="append only: what became of a deposit",
    )
    op.create_index("ix_deposit_movement_deposit_id", "deposit_movement", ["deposit_id"])


def _agenda() -> None:
    op.create_table(
        "agenda_entry",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column(
            "kind",
            sa.String(16),
            nullable=False,
            comment="change | cease | vacation | return | move | transfer",
        ),
        sa.Column("due_on", sa.Date, nullable=False, comment="local date of the account"),
        sa.Column("details", Json, nullable=False),
        sa.Column(
            "state", sa.String(12), nullable=False, comment="scheduled | asked | done | failed | cancelled"
        ),
        sa.Column("set_id", sa.String(64), comment="the change set that asked for it"),
        sa.Column("undo", Json, comment="how to take it back in billing when the change set is refused"),
        sa.Column("reason", sa.Text, comment="why it failed"),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_agenda_entry_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_agenda_entry"),
        sa.UniqueConstraint("set_id", name="uq_agenda_entry_set_id"),
    )
    op.create_index("ix_agenda_entry_service", "agenda_entry", ["service"])
    _where("ix_agenda_entry_due", "agenda_entry", "state = 'scheduled'", "due_on")


def _where(name: str, table: str, condition: str, *columns: str, unique: bool = False) -> None:
    told = sa.text(condition)
    op.create_index(name, table, list(columns), unique=unique, postgresql_where=told, sqlite_where=told)
