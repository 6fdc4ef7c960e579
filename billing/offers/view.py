"""What staff ask about a service: everything that is billed of it, at which pinned terms, and its contract."""

from datetime import date

import msgspec
from sqlalchemy.engine import Connection

from billing import accounts, subscriptions
from billing.models import subscription
from billing.offers import contracts
from billing.offers.discounts import windows
from billing.offers.telling import contract_text, offer_text
from billing.offers.whole import by_account, by_subscription
from billing.subscriptions import DISCOUNT, PLAN, Item
from billing.timeline import segments, state_on
from core.money import Money


class Sold(msgspec.Struct, frozen=True, kw_only=True):
    """An item on a day. `until`: its first day without, when that is known; `told`: an offer or a contract in words."""

    service: str
    role: str
    name: str
    plan: str
    version: str
    price: Money | None
    months: int
    since: date
    until: date | None
    billed: str
    told: str = ""


def of_service(conn: Connection, service: str, on: date | None = None) -> list[Sold]:
    """What a service has on a day (default: today) and will have. Raises ServiceNotBilled."""
    account = subscriptions.item(conn, service).account
    return [one for one in of_account(conn, account, on) if one.service == service]


def of_account(conn: Connection, account: str, on: date | None = None) -> list[Sold]:
    """What all services of an account have on a day and will have. Raises AccountUnknown."""
    day = on or accounts.get(conn, account).today
    items = by_account(subscriptions.items(conn, subscription.c.account_id == account))[account]
    found = [_sold(item, items, day) for item in items]
    return [one for one in found if one is not None and (one.until is None or one.until > day)]


def _sold(item: Item, items: list[Item], day: date) -> Sold | None:
    stretches = segments(item.events)
    state = state_on(item.events, day)
    terms = state.terms or next((one.terms for one in stretches if one.start > day), None)
    if terms is None:
        return None
    end = stretches[-1].end if state_on(item.events, date.max).terms is None else None
    told = ""
    if item.role == PLAN and (found := contracts.running(item.events, day)) is not None:
        told = f"contract {contract_text(found)}"
    if item.role == DISCOUNT and terms.discount is not None:
        told = offer_text(terms.discount)
        ends = windows(item.events, by_subscription(items)[item.subscription])
        end = ends[-1][1].end if ends else day
        end = None if end == date.max else end
    billed = "paused" if state.blocked else "in arrears" if terms.arrears else "in advance"
    return Sold(
        service=item.service, role=item.role, name=item.label or terms.plan, plan=terms.plan, version=terms.version,
        price=None if item.role == DISCOUNT else terms.price, months=terms.months, until=end, told=told, billed=billed,
        since=stretches[0].start if stretches else day,
    )  # fmt: skip
