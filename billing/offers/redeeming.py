"""Promotions that come with an order: reserved when it is placed, given when it is active, free when it is cancelled.

What is promised is pinned when the order is placed, as its price is. Whoever redeems locks the promotion, so that its
limit holds whoever else orders at the same moment; reservation and order are one transaction.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import catalog, numbers
from billing.accounts import Account
from billing.models import account, subscription
from billing.offers.errors import PromotionRefused
from billing.offers.models import promotion_redemption
from billing.subscriptions import DISCOUNT, Item
from billing.timeline import Discount, state_on
from core import clock, events, faults, ids
from core.money import Money
from intents.offer.schema import Offer
from intents.reader import Reader

RESERVED, REDEEMED, RELEASED = "reserved", "redeemed", "released"
P_RESERVED = faults.declare("billing.before_promotion_commit")
P_REDEEMED = faults.declare("billing.before_redeemed_commit")


class Named(msgspec.Struct, frozen=True):
    """A promotion that somebody named by its code or id."""

    code: str
    offer: str
    intent: Offer


def find(reader: Reader, code: str) -> Named:
    """The promotion of a code, small letters or not, or of an id. Raises PromotionRefused."""
    wanted = code.strip().upper()
    known = [(name, one) for name, one in reader.all("offer") if one.type == "promotion"]
    found = [(name, one) for name, one in known if one.code == wanted]
    found = found or [(name, one) for name, one in known if name == code.strip()]
    if not found:
        raise PromotionRefused(code, "no promotion has this code")
    if len(found) > 1:
        raise PromotionRefused(
            code, f"{' and '.join(name for name, _ in found)} have it both; mend the catalogue"
        )
    return Named(code.strip()[:64], *found[0])


def usable(
    conn: Connection, reader: Reader, codes: Sequence[str], plan: str, customer: str | None, on: date
) -> list[Named]:
    """The promotions of an order, looked at and not reserved; `customer` None: somebody new.

    Raises PromotionRefused.
    """
    named = [find(reader, code) for code in codes]
    if len({one.offer for one in named}) < len(named):
        raise PromotionRefused(named[0].code, "it is named twice")
    sold = reader.get("plan", plan)
    for one in named:
        if sold is not None and sold.prepaid is not None:
            raise PromotionRefused(
                one.code, f"plan {plan} is prepaid; a promotion takes something off an invoice"
            )
        if one.intent.plans and plan not in one.intent.plans:
            raise PromotionRefused(one.code, f"it is for {', '.join(one.intent.plans)}, not for {plan}")
        if not one.intent.combinable and len(named) > 1:
            raise PromotionRefused(one.code, "it goes with no other promotion")
        require(conn, one, customer, on)
    return named


def reserve(
    conn: Connection, reader: Reader, reference: str, owner: Account, plan: str, codes: Sequence[str], *,
    actor: str, on: date,
) -> None:  # fmt: skip
    """Reserve an order's promotions in its transaction. Raises PromotionRefused, and nothing of the order is left."""
    named = usable(conn, reader, codes, plan, owner.customer_ref, on)
    for one in sorted(named, key=lambda one: one.offer):  # one order for all: no deadlock
        note(
            conn, one, owner, reference, pinned(reader, one.code, one.intent, owner.currency, on), RESERVED,
            actor=actor, on=on,
        )  # fmt: skip
    if named:
        faults.point(P_RESERVED)


def redeem(conn: Connection, reference: str, service: str, on: date, actor: str) -> None:
    """An order is active: its promotions are its service's from that day on. Again changes nothing."""
    from billing.offers import giving  # which reserves, too

    for row in of(conn, reference):
        if row["state"] != RESERVED:
            continue
        discount = msgspec.convert(row["discount"], Discount)
        giving.give_promised(conn, service, row["offer"], discount, on, actor)
        mine = promotion_redemption.c.id == row["id"]
        values = {"state": REDEEMED, "service": service, "changed_at": clock.now()}
        conn.execute(sa.update(promotion_redemption).where(mine).values(**values))
        told = {"order": reference, "offer": row["offer"], "service": service, "on": str(on)}
        events.emit(conn, "promotion.redeemed", service, told, actor=actor)
        faults.point(P_REDEEMED)


def release(conn: Connection, reference: str) -> int:
    """An order is cancelled: somebody else may have what it reserved; returns how many. Again changes nothing."""
    mine = sa.and_(promotion_redemption.c.reference == reference, promotion_redemption.c.state == RESERVED)
    values = {"state": RELEASED, "changed_at": clock.now()}
    return int(conn.execute(sa.update(promotion_redemption).where(mine).values(**values)).rowcount)


def of(conn: Connection, reference: str) -> list[dict[str, Any]]:
    """What an order reserved or redeemed, as rows."""
    query = sa.select(promotion_redemption).where(promotion_redemption.c.reference == reference)
    return [dict(row) for row in conn.execute(query.order_by(promotion_redemption.c.id)).mappings()]


def told(conn: Connection, service: str, offer: str) -> str:
    """How a service came to a promotion, in words; empty where nobody noted it."""
    query = sa.select(promotion_redemption).where(
        promotion_redemption.c.service == service, promotion_redemption.c.offer == offer,
        promotion_redemption.c.state == REDEEMED,
    )  # fmt: skip
    row = conn.execute(query).first()
    if row is None or row.reference.startswith("service:"):
        return ""
    return f"redeemed as {row.code} with order {row.reference} of {row.reserved_on}"


def redeemed(conn: Connection, offer: str | None = None) -> dict[str, dict[str, int]]:
    """Offer -> state -> how many."""
    columns = (promotion_redemption.c.offer, promotion_redemption.c.state)
    query = sa.select(*columns, sa.func.count()).group_by(*columns).order_by(*columns)
    if offer is not None:
        query = query.where(promotion_redemption.c.offer == offer)
    found: dict[str, dict[str, int]] = {}
    for row in conn.execute(query):
        found.setdefault(row[0], {})[row[1]] = int(row[2])
    return found


def require(
    conn: Connection, one: Named, customer: str | None, on: date, *, besides: str = "", lock: bool = False
) -> None:
    """Whether one more may have it. `lock`: nobody else may meanwhile. `besides`: a service that makes nobody old.

    Raises PromotionRefused.
    """
    intent = one.intent
    if (intent.from_ and on < intent.from_) or (intent.until and on >= intent.until):
        days = " ".join(
            text for text in (
                f"from {intent.from_}" if intent.from_ else "", f"until before {intent.until}" if intent.until else ""
            ) if text
        )  # fmt: skip
        raise PromotionRefused(one.code, f"it is given {days}, not on {on}")
    if lock and (intent.limit or intent.per_customer):
        numbers.lock(conn, f"promotion:{one.offer}")
    if intent.limit is not None and _count(conn, one.offer) >= intent.limit:
        raise PromotionRefused(one.code, f"all {intent.limit} are taken")
    if customer is None:
        return
    if intent.per_customer is not None and _count(conn, one.offer, customer) >= intent.per_customer:
        times = "before" if intent.per_customer == 1 else f"{intent.per_customer} times before"
        raise PromotionRefused(one.code, f"customer {customer} had it {times}")
    if intent.new_customers and _had_service(conn, customer, besides):
        raise PromotionRefused(one.code, f"it is for new customers, and {customer} had a service before")


def note(
    conn: Connection, one: Named, owner: Account, reference: str, discount: Discount, state: str, *,
    actor: str, on: date, service: str | None = None,
) -> None:  # fmt: skip
    """Count one more, the promotion locked. Raises PromotionRefused."""
    require(conn, one, owner.customer_ref, on, besides=service or "", lock=True)
    values = {
        "id": ids.new_id("prm"), "offer": one.offer, "reference": reference, "customer_ref": owner.customer_ref,
        "account_id": owner.id, "service": service, "code": one.code, "discount": msgspec.to_builtins(discount),
        "state": state, "reserved_on": on, "actor": actor, "changed_at": clock.now(),
    }  # fmt: skip
    conn.execute(sa.insert(promotion_redemption).values(**values))
    said = {"offer": one.offer, "code": one.code, "reference": reference, "state": state}
    events.emit(conn, "promotion.reserved", owner.id, said, actor=actor)


def require_together(reader: Reader, offer: str, intent: Offer, has: Sequence[Item], on: date) -> None:
    """Raises PromotionRefused where a service has a promotion that goes with no other, or this one is such."""
    for item in has:
        mine = [event.terms.discount for event in item.events if event.terms is not None]
        is_bundle = any(one is not None and one.needs for one in mine)
        if (
            item.role != DISCOUNT
            or is_bundle
            or state_on(item.events, on).terms is None
            or item.label == offer
        ):
            continue
        other = reader.get("offer", item.label)
        if not intent.combinable or (other is not None and not other.combinable):
            raise PromotionRefused(offer, f"{item.service} has {item.label}, and the two do not go together")


def require_currency(reader: Reader, code: str, intent: Offer, currency: str) -> None:
    """An offer's amounts are of the operator's currency and never converted; a percentage alone is of any.

    Raises PromotionRefused.
    """
    operator = catalog.operator_currency(reader, currency)
    if operator != currency and (intent.amount is not None or intent.cap is not None):
        key = "amount" if intent.amount is not None else "cap"
        raise PromotionRefused(
            code,
            f"its `{key}` is in {operator}, the operator's currency, not in {currency}; give one in percent",
        )


def pinned(reader: Reader, code: str, intent: Offer, currency: str, on: date) -> Discount:
    """What a promotion promises on a day to an account of a currency; what it is off, and since when, comes with the
    service. Raises PromotionRefused.
    """
    require_currency(reader, code, intent, currency)
    amount, cap = (
        None if text is None else Money.parse(str(text), currency) for text in (intent.amount, intent.cap)
    )
    return Discount(
        of="", since=on, share=catalog.millionths(intent.percent), amount=amount, months=intent.months, cap=cap,
        plans=tuple(intent.plans),
    )  # fmt: skip


def _count(conn: Connection, offer: str, customer: str | None = None) -> int:
    query = sa.select(sa.func.count()).select_from(promotion_redemption).where(
        promotion_redemption.c.offer == offer, promotion_redemption.c.state != RELEASED
    )  # fmt: skip
    if customer is not None:
        query = query.where(promotion_redemption.c.customer_ref == customer)
    return int(conn.execute(query).scalar_one())


def _had_service(conn: Connection, customer: str, besides: str) -> bool:
    query = sa.select(subscription.c.id).join(account, account.c.id == subscription.c.account_id)
    query = query.where(account.c.customer_ref == customer, subscription.c.service != besides)
    return conn.execute(query.limit(1)).first() is not None
