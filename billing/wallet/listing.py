"""Prepaid over all accounts: what is in the wallets, how the services stand, and which end next."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.wallet.models import prepaid_service, wallet_movement
from core.money import Money


def held(conn: Connection) -> list[Money]:
    """What customers have paid ahead and not used, by currency."""
    query = sa.select(wallet_movement.c.currency, sa.func.sum(wallet_movement.c.amount))
    rows = conn.execute(query.group_by(wallet_movement.c.currency).order_by(wallet_movement.c.currency))
    return [Money(int(row[1]), row[0]) for row in rows]


def states(conn: Connection) -> dict[str, int]:
    """How many prepaid services are in each state."""
    query = sa.select(prepaid_service.c.state, sa.func.count()).group_by(prepaid_service.c.state)
    return {row[0]: int(row[1]) for row in conn.execute(query.order_by(prepaid_service.c.state))}


def ending(conn: Connection, until: date, limit: int = 100) -> Sequence[Any]:
    """Services in use that are paid until a day at most, the one that ends first at the top."""
    open_ = prepaid_service.c.state.in_(("open", "grace", "owed"))
    query = sa.select(prepaid_service).where(open_, prepaid_service.c.paid_until <= until)
    return conn.execute(
        query.order_by(prepaid_service.c.paid_until, prepaid_service.c.service).limit(limit)
    ).all()
