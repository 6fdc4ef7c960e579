"""Address blocks that nodes lease."""

revision = "aaa_0005"
down_revision = "aaa_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
