"""What is written down of prepaid services elsewhere: their subscription, their grant for RADIUS; and lists of them."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.limits import quota
from billing.accounts import Account
from billing.agenda.moments import begins
from billing.models import subscription, subscription_item
from billing.periods import days_after, month_index
from billing.runs.plain import OVER
from billing.subscriptions import PLAN
from billing.wallet.models import prepaid_service
from core import clock, ids

SLACK = timedelta(hours=6)
"""How long RADIUS goes on after the last day: the run that buys the next period has until then."""

Row = Any


def of_account(conn: Connection, account: str) -> Sequence[Row]:
    """The prepaid services of an account."""
    query = sa.select(prepaid_service).where(prepaid_service.c.account_id == account)
    return conn.execute(query.order_by(prepaid_service.c.service)).all()


def listed(conn: Connection, state: str = "", limit: int = 1000) -> Sequence[Row]:
    """Prepaid services, of one state or of all, the one that ends first at the top."""
    query = sa.select(prepaid_service).order_by(prepaid_service.c.paid_until, prepaid_service.c.service)
    if state:
        query = query.where(prepaid_service.c.state == state)
    return conn.execute(query.limit(limit)).all()


def subscribe(conn: Connection, owner: Account, service: str, on: date) -> None:
    """A subscription whose item is over before it began, for the bill run: it has nothing to bill."""
    subscription_id = ids.new_id("sub")
    values = {"id": subscription_id, "account_id": owner.id, "service": service, "created_at": clock.now()}
    conn.execute(sa.insert(subscription).values(**values))
    item = {
        "id": ids.new_id("itm"), "subscription_id": subscription_id, "role": PLAN, "label": "",
        "cadence_base": month_index(on), "charged_through": OVER,
    }  # fmt: skip
    conn.execute(sa.insert(subscription_item).values(**item))


def grant(conn: Connection, owner: Account, service: str, paid_until: date, grace: int, actor: str) -> None:
    """Let RADIUS serve until the day begins where the account lives, its days of grace and the slack on top."""
    end = begins(days_after(paid_until, grace), owner.timezone) + SLACK
    if end > clock.now():
        reference = f"prepaid:{paid_until}+{grace}"
        quota.grant(conn, service, kind="prepaid", end=end, reference=reference, actor=actor)
