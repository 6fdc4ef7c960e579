"""CRM's tables: customers, where they live, what they ordered, what is being ended. People live here, never in Git."""

import sqlalchemy as sa

from core.db import Json, UtcDateTime, metadata

META = metadata("crm")

customer = sa.Table(
    "customer",
    META,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("personal", sa.Text, nullable=False, comment="JSON, sealed where there is a data key"),
    sa.Column("created_at", UtcDateTime, nullable=False),
)

location = sa.Table(
    "location",
    META,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("customer_id", sa.String(64), sa.ForeignKey("customer.id"), nullable=False, index=True),
    sa.Column("personal", sa.Text, nullable=False, comment="the address, sealed like the customer's"),
    sa.Column("latitude", sa.Float),
    sa.Column("longitude", sa.Float),
)

service_order = sa.Table(
    "service_order",
    META,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("customer_id", sa.String(64), sa.ForeignKey("customer.id"), nullable=False, index=True),
    sa.Column("account_id", sa.String(64), nullable=False),
    sa.Column("location_id", sa.String(64), sa.ForeignKey("location.id")),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("plan", sa.String(64), nullable=False),
    sa.Column("terms", Json, nullable=False, comment="the price version that was ordered"),
    sa.Column("access", Json, nullable=False),
    sa.Column("options", Json, nullable=False),
    sa.Column("line", sa.String(64)),
    sa.Column("service", sa.String(64), unique=True),
    sa.Column("set_id", sa.String(64), unique=True),
    sa.Column("awaits", sa.String(8), comment="landing | device: what confirms the activation"),
    sa.Column("reason", sa.Text, comment="why it failed or was cancelled"),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
)

cessation = sa.Table(
    "cessation",
    META,
    sa.Column("service", sa.String(64), primary_key=True),
    sa.Column("set_id", sa.String(64), nullable=False, unique=True),
    sa.Column("state", sa.String(16), nullable=False, comment="requested | done | failed"),
    sa.Column("line", sa.String(64), comment="the line that ends with it"),
    sa.Column("rests", Json, nullable=False, comment="scope's first word -> seconds before reuse"),
    sa.Column("reason", sa.Text),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("requested_at", UtcDateTime, nullable=False),
)
