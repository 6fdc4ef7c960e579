"""Items that are billed in arrears say before when nothing of them is due."""

import sqlalchemy as sa
from alembic import op

revision = "billing_0004"
down_revision = "billing_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the day; whoever has none is due when its first unbilled day has come, as before."""
    with op.batch_alter_table("subscription_item") as table:
        table.add_column(sa.Column("due_from", sa.Date, comment="in arrears: nothing is due before this day"))
        table.alter_column("role", existing_type=sa.String(16), existing_nullable=False,
                           comment="plan, addon, rental, discount")  # fmt: skip
