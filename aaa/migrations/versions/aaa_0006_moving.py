"""What an old RADIUS server answered beside us."""

revision = "aaa_0006"
down_revision = "aaa_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
