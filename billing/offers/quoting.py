"""What an order would cost: each period with what its promotions take off and its tax, before anybody orders.

Nothing is reserved: a quote promises nothing that is limited; an order that is kept as a draft does.
"""

from collections.abc import Sequence
from datetime import date
from itertools import groupby

import msgspec
from sqlalchemy.engine import Connection

from billing import accounts, bill, catalog, taxes
from billing.offers import redeeming
from billing.offers.discounts import taken_off
from billing.offers.telling import offer_text
from billing.periods import Period, clamped, month_index
from billing.subscriptions import DISCOUNT
from billing.tax import Rate
from billing.timeline import SETUP, Event, EventKind, Slice, Terms, ought
from core.money import Money
from intents.reader import Reader

AHEAD = 24
"""Months that are looked at: until the price stays, at most."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What a period comes to. `off` by offer, negative; `total` with tax; `days` that are billed of it."""

    period: Period
    setup: Money
    listed: Money
    off: dict[str, Money]
    net: Money
    tax: Money
    total: Money
    days: int


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """An order's price: what is promised in words, its periods; from `stays` on every period costs the same."""

    plan: str
    version: str
    on: date
    promotions: dict[str, str]
    parts: tuple[Part, ...]
    stays: date


def quote(
    conn: Connection,
    reader: Reader,
    plan: str,
    codes: Sequence[str],
    *,
    account: str | None,
    customer: str | None,
    on: date,
    currency: str,
) -> Quote:
    """What `plan` with these promotions would cost from `on`, for an account in its currency, or for somebody new with
    the defaults in `currency`. Raises PlanUnknown, PriceMissing, TaxRateMissing, PromotionRefused, AccountUnknown.
    """
    owner = None if account is None else accounts.get(conn, account)
    profile, anchor = ("default", 1) if owner is None else (owner.tax_profile, owner.anchor)
    who = owner.customer_ref if owner is not None else customer
    terms = catalog.price_on(reader, plan, on, currency if owner is None else owner.currency).terms
    named = redeeming.usable(conn, reader, codes, plan, who, on)
    promised = {
        one.offer: redeeming.pinned(reader, one.code, one.intent, terms.price.currency, on) for one in named
    }
    rate = taxes.rate_on(conn, profile, terms.tax, on)
    last = clamped(1, month_index(on) + AHEAD + terms.months)
    sold = [Event(on, 1, EventKind.ACTIVATED, terms)]
    base = ought(sold, anchor, month_index(on), last)
    slices, left = list(base), base
    for offer, discount in sorted(promised.items()):
        given = Terms(offer, "", Money.zero(terms.price.currency), kind=DISCOUNT, discount=discount)
        off, left = taken_off([Event(on, 1, EventKind.ACTIVATED, given)], left, {})
        slices += off
    parts = tuple(_parts(slices, rate))
    return Quote(
        plan=plan, version=terms.version, on=on, promotions={one: offer_text(d) for one, d in promised.items()},
        parts=_until_it_stays(parts), stays=_stays(parts),
    )  # fmt: skip


def _parts(slices: Sequence[Slice], rate: Rate) -> list[Part]:
    """The set-up fee goes with the first period."""
    setup = sum(one.amount.minor for one in slices if one.kind == SETUP)
    regular = sorted((one for one in slices if one.kind != SETUP), key=lambda one: one.period)
    found: list[Part] = []
    for period, group in groupby(regular, key=lambda one: one.period):
        mine = list(group)
        currency = mine[0].amount.currency
        begins = Money(0 if found else setup, currency)
        listed = sum(one.amount.minor for one in mine if one.kind != DISCOUNT)
        off: dict[str, int] = {}
        for one in mine:
            if one.kind == DISCOUNT:
                off[one.terms.plan] = off.get(one.terms.plan, 0) + one.amount.minor
        amounts = [begins.minor, listed, *off.values()]
        lines = [
            bill.Line(description="", amount=Money(minor, currency), rate=rate, kind="recurring")
            for minor in amounts if minor
        ]  # fmt: skip
        drawn = bill.make(lines, currency)
        found.append(
            Part(
                period=period, setup=begins, listed=Money(listed, currency),
                off={name: Money(minor, currency) for name, minor in off.items()}, net=drawn.net,
                tax=Money(drawn.total.minor - drawn.net.minor, currency), total=drawn.total,
                days=sum(one.part.days for one in mine if one.kind != DISCOUNT),
            )
        )  # fmt: skip
    return found


def _stays(parts: Sequence[Part]) -> date:
    """The first day from which on every period costs what the last one does."""
    same = len(parts)
    while same > 1 and (parts[same - 2].total, parts[same - 2].off) == (parts[-1].total, parts[-1].off):
        same -= 1
    return parts[same - 1].period.start


def _until_it_stays(parts: Sequence[Part]) -> tuple[Part, ...]:
    stays = _stays(parts)
    return tuple(one for one in parts if one.period.start <= stays)
