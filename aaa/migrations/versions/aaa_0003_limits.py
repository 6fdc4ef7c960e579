"""Limits that are recorded, not declared: fair use, schedules, prepaid, overrides, vouchers."""

revision = "aaa_0003"
down_revision = "aaa_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
