"""The children of an account are found by their parent."""

from alembic import op

revision = "billing_0015"
down_revision = "billing_0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_account_parent_id", "account", ["parent_id"])
