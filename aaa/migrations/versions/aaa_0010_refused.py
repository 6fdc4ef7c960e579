"""Refusals know the service that they were about: a login says nothing where a line is known by its circuit."""

import sqlalchemy as sa
from alembic import op

revision = "aaa_0010"
down_revision = "aaa_0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, empty for what was refused before."""
    op.add_column("refusal", sa.Column("service", sa.String(63), nullable=False, server_default=""))
    told = sa.text("service <> ''")
    op.create_index(
        "ix_refusal_service", "refusal", ["service", "seq"], postgresql_where=told, sqlite_where=told
    )
