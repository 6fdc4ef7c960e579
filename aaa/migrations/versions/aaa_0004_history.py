"""Retention and roll-up of sessions and usage."""

revision = "aaa_0004"
down_revision = "aaa_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
