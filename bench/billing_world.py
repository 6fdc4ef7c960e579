"""A world to bill: so many accounts, 1.4 services each, billed to the end of last year by somebody else.

2% have something in the middle of December (a new plan, a start, an end), 5% a month's usage to be billed.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

from billing import charges, models, taxes
from billing.periods import Period
from billing.runs.copying import copy
from billing.runs.renewal import terms_id
from billing.tax import Rate
from billing.timeline import Slice, Terms
from core import clock
from core.db import Database
from core.money import Money
from intents.plan.schema import Plan, Price
from intents.reader import MemoryReader

ON = date(2026, 1, 1)
BEFORE = date(2025, 12, 1)
_FIRST = 10_001
_SINCE = date(2025, 3, 1)
_PLANS = 12
_SOME = 20_000
ONLY_MONTHLY, QUARTERLY = 1, 3

TERMS = [
    Terms(
        f"plan-{n}", "2025a", Money(2_900 + 500 * n, "AUD"), QUARTERLY if n == 0 else ONLY_MONTHLY,
        "gst", Money(9_900, "AUD") if n == 1 else None,
    )
    for n in range(_PLANS)
]  # fmt: skip


def reader() -> MemoryReader:
    """The catalogue that the world is sold from."""
    return MemoryReader.of(
        ("plan", terms.plan, Plan(type="internet", name=f"Internet {n}", prices=(_price(terms),)))
        for n, terms in enumerate(TERMS)
    )


def _price(terms: Terms) -> Price:
    rhythm = "quarter" if terms.months == QUARTERLY else "month"
    amount = f"{terms.price.minor // 100}.{terms.price.minor % 100:02d}"
    given: dict[str, Any] = {"amount": amount, "every": rhythm, "tax": "gst"}
    return Price(id=terms.version, from_=_SINCE, **given)


def make(database: Database, accounts: int) -> int:
    """Fill an empty database; returns how many items there are."""
    with database.write() as conn:
        for profile, inclusive in (("default", False), ("retail", True)):
            taxes.set_rate(
                conn, "gst", "10%", profile=profile, valid_from=date(2000, 1, 1), inclusive=inclusive
            )
        pinned = [(terms_id(one), one.months, msgspec.to_builtins(one)) for one in TERMS]
        copy(conn, models.pinned_terms, ("id", "months", "terms"), pinned)
        conn.execute(sa.insert(models.counter).values(name="account", last=accounts + 1, issued_on=None))
    items = 0
    for start in range(0, accounts, _SOME):
        numbers = range(start, min(start + _SOME, accounts))
        with database.write() as conn:
            for table, names, rows in _tables(numbers):
                copy(conn, table, names, rows)
        items += sum(_services(n) for n in numbers)
    if not database.is_sqlite:
        with database.write() as conn:
            conn.exec_driver_sql("ANALYZE")
    return items


def _services(n: int) -> int:
    return 2 if n % 5 < 2 else 1


def account_of(n: int) -> str:
    """The id of the n-th account."""
    return f"A-{_FIRST + n}"


def _plan(n: int, k: int) -> Terms:
    return TERMS[(n * 7 + k * 5) % _PLANS]


def _happens(n: int, k: int) -> str:
    """What happened to a service in December: to 2% of the accounts something."""
    if n % 50 != 17 or k:
        return ""
    return ("plan", "start", "end")[n // 50 % 3]


def _items(numbers: range) -> Iterator[tuple[int, int, str]]:
    for n in numbers:
        for k in range(_services(n)):
            yield n, k, f"{n:07d}{k}"


def _tables(numbers: range) -> Iterator[tuple[sa.Table, tuple[str, ...], Iterator[tuple[Any, ...]]]]:
    now = clock.now()
    yield models.account, (
        "id", "customer_ref", "currency", "timezone", "anchor", "legal_entity", "tax_profile", "dunning_policy",
        "payment_days", "change_day", "opened_at",
    ), (
        (account_of(n), f"C-{n}", "AUD", "Australia/Perth", 1, "main", _profile(n), "default", 14, "new", now)
        for n in numbers
    )  # fmt: skip
    yield models.subscription, ("id", "account_id", "service", "created_at"), (
        (f"sub_{tag}", account_of(n), f"S-{tag}", now) for n, _, tag in _items(numbers)
    )  # fmt: skip
    yield models.subscription_item, (
        "id", "subscription_id", "role", "label", "cadence_base", "charged_through", "recalculate_from", "renews",
    ), (_item(n, k, tag) for n, k, tag in _items(numbers))  # fmt: skip
    yield models.subscription_event, ("item_id", "kind", "effective", "recorded_at", "terms", "actor"), (
        (f"itm_{tag}", kind, day, now, None if terms is None else msgspec.to_builtins(terms), "bench")
        for n, k, tag in _items(numbers)
        for kind, day, terms in _events(n, k)
    )  # fmt: skip
    billed = [charges.row_of(account_of(n), _december(n, k, tag)) for n, k, tag in _items(numbers)
              if _happens(n, k) in ("plan", "end")]  # fmt: skip
    if billed:
        yield models.charge, tuple(billed[0]), (tuple(row.values()) for row in billed)
    yield models.billable, (
        "id", "account_id", "kind", "source", "revision", "service", "description", "amount", "tax_category",
        "billed_from", "period_start", "period_end", "why", "actor", "recorded_at",
    ), (
        (
            f"bbl_{n:07d}", account_of(n), "usage", f"usage:{n}:2025-12", 0, f"S-{n:07d}0", "Data over 500 GB",
            100 + n % 5_000, "gst", ON, BEFORE, ON, {"how": f"{n % 90} GB"}, "bench", now,
        )
        for n in numbers if n % 20 == 3
    )  # fmt: skip


def _profile(n: int) -> str:
    return "exempt" if n % 100 == 42 else "retail" if n % 3 == 0 else "default"


def _item(n: int, k: int, tag: str) -> tuple[Any, ...]:
    happens, terms = _happens(n, k), _plan(n, k)
    through = None if happens == "start" else ON
    since = date(2025, 12, 10) if happens else None
    base = (_SINCE.year if happens != "start" else 2025) * 12 + (9 if terms.months == QUARTERLY else 2)
    return (
        f"itm_{tag}", f"sub_{tag}", "plan", "", base, through, since, None if happens else terms_id(terms),
    )  # fmt: skip


def _events(n: int, k: int) -> Iterator[tuple[str, date, Terms | None]]:
    happens = _happens(n, k)
    yield "activated", date(2025, 12, 10) if happens == "start" else _SINCE, _plan(n, k)
    if happens == "plan":
        yield "changed", date(2025, 12, 10) + timedelta(days=n % 15), _plan(n + 1, k)
    if happens == "end":
        yield "ceased", date(2025, 12, 10) + timedelta(days=n % 15), None


def _december(n: int, k: int, tag: str) -> charges.Charge:
    """What was billed for December where December has changed since."""
    terms = _plan(n, k)
    month = Period(date(2025, 10, 1) if terms.months == QUARTERLY else BEFORE, ON)
    rate = Rate("gst", 0 if _profile(n) == "exempt" else 100_000, _profile(n) == "retail")
    return charges.Charge(
        id=f"chg_{tag}",
        item=f"itm_{tag}",
        slice=Slice(month, month, terms, terms.price),
        revision=0,
        rate=rate,
    )
