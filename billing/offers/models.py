"""Tables of offers."""

import sqlalchemy as sa

from billing.models import META
from core.db import Json, UtcDateTime

promotion_redemption = sa.Table(
    "promotion_redemption",
    META,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("offer", sa.String(64), nullable=False),
    sa.Column("reference", sa.String(160), nullable=False, comment="the order, or service:<service>"),
    sa.Column("customer_ref", sa.String(64), nullable=False, index=True),
    sa.Column("account_id", sa.String(64), sa.ForeignKey("account.id"), nullable=False, index=True),
    sa.Column("service", sa.String(64), index=True),
    sa.Column("code", sa.String(64), nullable=False, comment="as it was named"),
    sa.Column("discount", Json, nullable=False, comment="billing.timeline.Discount as it was promised"),
    sa.Column("state", sa.String(8), nullable=False, comment="reserved | redeemed | released"),
    sa.Column("reserved_on", sa.Date, nullable=False, comment="local date of the account"),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
    sa.UniqueConstraint("offer", "reference"),
    sa.Index("ix_promotion_redemption_offer", "offer", "state"),
    comment="who may have a promotion: what is not released counts against its limit",
)
