"""Customers, locations, orders, cessations."""

import sqlalchemy as sa
from alembic import op

from core.db import Json, UtcDateTime

revision = "crm_0001"
down_revision = None
branch_labels = ("crm",)
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "cessation",
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("set_id", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False, comment="requested | done | failed"),
        sa.Column("line", sa.String(64), comment="the line that ends with it"),
        sa.Column("rests", Json, nullable=False, comment="scope's first word -> seconds before reuse"),
        sa.Column("reason", sa.Text),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("requested_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("service", name="pk_cessation"),
        sa.UniqueConstraint("set_id", name="uq_cessation_set_id"),
    )
    op.create_table(
        "customer",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("personal", sa.Text, nullable=False, comment="JSON, sealed where there is a data key"),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_customer"),
    )
    op.create_table(
        "location",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("customer_id", sa.String(64), nullable=False),
        sa.Column("personal", sa.Text, nullable=False, comment="the address, sealed like the customer's"),
        sa.Column("latitude", sa.Float),
        sa.Column("longitude", sa.Float),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name="fk_location_customer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_location"),
    )
    op.create_index("ix_location_customer_id", "location", ["customer_id"])
    op.create_table(
        "service_order",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("customer_id", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("location_id", sa.String(64)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("plan", sa.String(64), nullable=False),
        sa.Column("terms", Json, nullable=False, comment="the price version that was ordered"),
        sa.Column("access", Json, nullable=False),
        sa.Column("options", Json, nullable=False),
        sa.Column("line", sa.String(64)),
        sa.Column("service", sa.String(64)),
        sa.Column("set_id", sa.String(64)),
        sa.Column("awaits", sa.String(8), comment="landing | device: what confirms the activation"),
        sa.Column("reason", sa.Text, comment="why it failed or was cancelled"),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name="fk_service_order_customer_id"),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name="fk_service_order_location_id"),
        sa.PrimaryKeyConstraint("id", name="pk_service_order"),
        sa.UniqueConstraint("service", name="uq_service_order_service"),
        sa.UniqueConstraint("set_id", name="uq_service_order_set_id"),
    )
    op.create_index("ix_service_order_customer_id", "service_order", ["customer_id"])
    op.create_index("ix_service_order_state", "service_order", ["state"])


def downgrade() -> None:
    """Drop the tables."""
    for table in ("service_order", "location", "customer", "cessation"):
        op.drop_table(table)
