"""Half of every page of sessions and usage free, also where an older aaa_0004 left a quarter.

For new pages; those that are there are packed more loosely as their rows are written.
"""

from alembic import op

revision = "aaa_0007"
down_revision = "aaa_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Set what aaa_0004 sets now."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE session SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05)")
        op.execute("ALTER TABLE usage_day SET (fillfactor = 50)")
