"""What a dunning run did is found by the run."""

from alembic import op

revision = "billing_0014"
down_revision = "billing_0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the indexes."""
    for table in ("dunning_stage", "nonpayment_hold"):
        op.create_index(f"ix_{table}_run_id", table, ["run_id"])
