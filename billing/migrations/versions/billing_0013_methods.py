"""What a gateway said of stored methods, up to when its events were fetched, and when we heard of a charge's state."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

from core.db import UtcDateTime

revision = "billing_0013"
down_revision = "billing_0012"
branch_labels = None
depends_on = None

_OLDEST = timedelta(days=29)


def upgrade() -> None:
    """Add them; each gateway that was ever asked is asked for its events of the last 29 days."""
    with op.batch_alter_table("gateway_attempt") as table:
        table.alter_column(
            "asked_at", existing_type=UtcDateTime, comment="none: nobody can have been charged"
        )
        table.add_column(sa.Column("told_on", sa.Date, comment="local day on which we heard of its state"))
    op.create_table(
        "autopay_ended",
        sa.Column("account_id", sa.String(64), sa.ForeignKey("account.id"), primary_key=True),
        sa.Column("gateway", sa.String(32), nullable=False),
        sa.Column("customer", sa.String(120), nullable=False, comment="what the gateway calls the customer"),
        sa.Column(
            "method", sa.String(120), nullable=False, comment="a token; card or bank data never come here"
        ),
        sa.Column("label", sa.String(80), nullable=False, comment="for people: visa 4242"),
        sa.Column("days_before", sa.Integer, nullable=False, comment="before the due date"),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("since", UtcDateTime, nullable=False),
        comment="autopay whose method has ended at the gateway, which may bring it back or replace it",
    )
    op.create_table(
        "gateway_method",
        sa.Column("gateway", sa.String(32), primary_key=True),
        sa.Column("method", sa.String(120), primary_key=True),
        sa.Column(
            "at", sa.BigInteger, nullable=False, comment="of the last word on it: the gateway's Unix seconds"
        ),
        sa.Column("is_ended", sa.Boolean, nullable=False),
        sa.Column("instead", sa.String(120), nullable=False, comment="the one that replaced it"),
        sa.Column("why", sa.String(80), nullable=False),
        comment="stored methods of which a gateway said something",
    )
    cursor = op.create_table(
        "gateway_cursor",
        sa.Column("gateway", sa.String(32), primary_key=True),
        sa.Column("until", UtcDateTime, nullable=False, comment="its events before this were fetched"),
    )
    _where("gateway_attempt", "ix_gateway_attempt_failed", "code <> ''", "told_on")
    _where("refund", "ix_refund_unsettled", "state <> 'settled'", "requested_on")
    op.execute("UPDATE gateway_attempt SET told_on = planned_on WHERE code <> ''")
    conn = op.get_bind()
    asked = conn.execute(
        sa.text("SELECT gateway FROM gateway_attempt UNION SELECT gateway FROM autopay")
    ).scalars()
    since = datetime.now(UTC) - _OLDEST
    for gateway in asked.all():
        conn.execute(sa.insert(cursor).values(gateway=gateway, until=since))


def _where(table: str, name: str, condition: str, column: str) -> None:
    told = sa.text(condition)
    op.create_index(name, table, [column], postgresql_where=told, sqlite_where=told)
