"""Recorded state of inventory: allocated values."""

import sqlalchemy as sa

from core.db import UtcDateTime, metadata

METADATA = metadata("inventory")

allocation = sa.Table(
    "allocation",
    METADATA,
    sa.Column("scope", sa.String(120), primary_key=True),
    sa.Column("value", sa.String(120), primary_key=True),
    sa.Column("owner", sa.String(80), nullable=False),
    sa.Column("since", UtcDateTime, nullable=False),
    sa.Column("free_at", UtcDateTime),  # null: in use; else: released, and reusable from then on
    sa.Index("ix_allocation_owner", "owner"),
)
