"""Deferred lines to recognise, closes of periods; write-offs; notices, hardship, promises in instalments."""

import sqlalchemy as sa
from alembic import op

from core.db import Json, Sequenced, UtcDateTime

revision = "billing_0010"
down_revision = "billing_0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables and two columns; lines that are issued already are taken in by the first recognition."""
    op.add_column(
        "ledger_transaction",
        sa.Column(
            "happened_on", sa.Date, comment="its own day, where the books of that day were closed already"
        ),
    )
    op.add_column(
        "promise_to_pay",
        sa.Column("amount", sa.BigInteger, comment="what was due when it was made, in minor units"),
    )
    _closing()
    _write_offs()
    _collecting()


def _closing() -> None:
    op.create_table(
        "deferral_mark",
        sa.Column("legal_entity", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("legal_entity", "kind", name="pk_deferral_mark"),
        comment="documents of a series up to this number are in `deferral`; the row is the lock",
    )
    op.create_table(
        "deferral",
        sa.Column("seq", Sequenced, autoincrement=True, nullable=False),
        sa.Column("legal_entity", sa.String(32), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("ledger", sa.String(64), nullable=False, comment="the revenue account that it becomes"),
        sa.Column("issued_on", sa.Date, nullable=False),
        sa.Column("period_start", sa.Date, nullable=False),
        sa.Column("period_end", sa.Date, nullable=False),
        sa.Column("net", sa.BigInteger, nullable=False, comment="of one line"),
        sa.Column("lines", sa.Integer, nullable=False, comment="how many lines are alike"),
        sa.Column(
            "recognised_until", sa.Date, nullable=False, comment="exclusive; at first the day of issue"
        ),
        sa.PrimaryKeyConstraint("seq", name="pk_deferral"),
        comment="lines that bill days after their issue, alike ones together",
    )
    waiting = sa.text("recognised_until < period_end")
    op.create_index(
        "ix_deferral_waiting",
        "deferral",
        ["legal_entity", "recognised_until"],
        postgresql_where=waiting,
        sqlite_where=waiting,
    )
    op.create_table(
        "period_close",
        sa.Column("seq", Sequenced, autoincrement=True, nullable=False),
        sa.Column("legal_entity", sa.String(32), nullable=False),
        sa.Column("what", sa.String(8), nullable=False, comment="close | reopen"),
        sa.Column(
            "closed_through", sa.Date, comment="nothing is booked on or before this day; none: all is open"
        ),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("proof", Json, nullable=False, comment="what the books were when they were closed"),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_period_close"),
        comment="append only: the newest row of an entity says how far its books are closed",
    )
    op.create_index("ix_period_close_legal_entity", "period_close", ["legal_entity"])


def _write_offs() -> None:
    op.create_table(
        "write_off",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("invoice_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False, comment="bad-debt | residue | recovery"),
        sa.Column("reverses", sa.String(64), comment="of a recovery: what it takes back"),
        sa.Column(
            "amount", sa.BigInteger, nullable=False, comment="off the balance; negative for a recovery"
        ),
        sa.Column("tax", Json, nullable=False, comment="tax claimed back with it: category -> minor units"),
        sa.Column("relief", sa.Boolean, nullable=False, comment="tax is claimed back"),
        sa.Column("recoverable", sa.Boolean, nullable=False, comment="a later payment brings it back"),
        sa.Column("written_on", sa.Date, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.CheckConstraint("amount <> 0", name="ck_write_off_amount"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_write_off_account_id"),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name="fk_write_off_invoice_id"),
        sa.ForeignKeyConstraint(["reverses"], ["write_off.id"], name="fk_write_off_reverses"),
        sa.PrimaryKeyConstraint("id", name="pk_write_off"),
        comment="append only: a balance is the invoice less allocations less these",
    )
    op.create_index("ix_write_off_account_id", "write_off", ["account_id"])
    op.create_index("ix_write_off_invoice_id", "write_off", ["invoice_id"])


def _collecting() -> None:
    op.create_table(
        "dunning_notice",
        sa.Column("seq", Sequenced, autoincrement=True, nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("debt_due", sa.Date, nullable=False, comment="the oldest due date of the case"),
        sa.Column("stage", sa.Integer, nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False, comment="letter | e-mail | sms | call"),
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("made_on", sa.Date, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False, comment="overdue when it was made"),
        sa.Column("invoices", Json, nullable=False, comment="numbers of the overdue invoices, oldest first"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_dunning_notice_account_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_dunning_notice"),
        sa.UniqueConstraint(
            "account_id",
            "debt_due",
            "stage",
            "channel",
            name="uq_dunning_notice_account_id_debt_due_stage_channel",
        ),
        comment="append only: what a stage tells the customer, by each channel once",
    )
    op.create_index("ix_dunning_notice_made_on", "dunning_notice", ["made_on"])
    op.create_table(
        "hardship",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("since", sa.Date, nullable=False),
        sa.Column("until", sa.Date, nullable=False, comment="the last day; earlier when it was ended"),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.Column("ended_by", sa.String(80)),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_hardship_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_hardship"),
    )
    op.create_index("ix_hardship_account_id", "hardship", ["account_id"])
    op.create_table(
        "promise_instalment",
        sa.Column("promise_id", sa.String(64), nullable=False),
        sa.Column("due_on", sa.Date, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(
            ["promise_id"], ["promise_to_pay.id"], name="fk_promise_instalment_promise_id"
        ),
        sa.PrimaryKeyConstraint("promise_id", "due_on", name="pk_promise_instalment"),
    )
