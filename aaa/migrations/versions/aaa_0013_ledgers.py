"""How much of its ledger a worker had on its disk: an older copy of it, from a backup, is known by that."""

import sqlalchemy as sa
from alembic import op

revision = "aaa_0013"
down_revision = "aaa_0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of what was written before nobody knows."""
    op.add_column("address_count", sa.Column("synced", sa.BigInteger, nullable=False, server_default="0"))
