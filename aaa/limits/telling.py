"""What is recorded of one service's limits, for support: plain values, as JSON shows them."""

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.models import quota_grant, quota_use, service_limit


class Told(msgspec.Struct, frozen=True):
    """A service's limits, what it used by quota and period, and what was granted; the newest first."""

    limits: list[dict[str, Any]]
    used: list[dict[str, Any]]
    grants: list[dict[str, Any]]


def told(conn: Connection, service: str) -> Told:
    """Everything of one service."""
    limits = sa.select(service_limit).where(service_limit.c.service == service)
    used = sa.select(quota_use).where(quota_use.c.service == service)
    granted = sa.select(quota_grant).where(quota_grant.c.service == service)
    return Told(
        limits=_plain(
            conn, limits.order_by(service_limit.c.cause), ("cause", "effect", "down", "up", "until", "actor", "at"),
        ),
        used=_plain(
            conn, used.order_by(quota_use.c.period_start.desc()).limit(12),
            ("kind", "period_start", "period_end", "up_octets", "down_octets", "seconds"),
        ),
        grants=_plain(
            conn, granted.order_by(quota_grant.c.at.desc()).limit(20),
            ("kind", "period_start", "period_end", "octets", "seconds", "reference", "actor"),
        ),
    )  # fmt: skip


def _plain(conn: Connection, chosen: sa.Select[Any], names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{name: _shown(row._mapping[name]) for name in names} for row in conn.execute(chosen)]


def _shown(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
