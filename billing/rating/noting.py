"""What a rating run writes down: what a month comes to, and the difference to what was billed of it, as a billable."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy.engine import Connection

from billing import billables
from billing.accounts import Account
from billing.billables import Billable
from billing.periods import Period
from billing.rating.allowance import Lot
from billing.rating.models import usage_rated
from core import clock, db
from core.money import Money

Key = tuple[str, str, date]
"""(scope, meter, first day)."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a month's usage comes to now; `before` what was billed of it until now."""

    account: str
    scope: str
    meter: str
    period: Period
    used: int
    amount: Money
    before: Money
    revision: int


class Mine(msgspec.Struct, frozen=True):
    """An account while it is rated: what was rated before, and when a correction is billed."""

    owner: Account
    known: dict[Key, Any]
    later: date
    actor: str


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a month comes to. `free` of `used` cost nothing; `lots` are left for later months; `gone`: nothing is rated
    of these days any more.
    """

    period: Period
    used: int
    free: int
    amount: Money
    text: str
    why: dict[str, str]
    tax: str
    service: str | None = None
    lots: tuple[Lot, ...] = ()
    gone: bool = False


def note(conn: Connection, one: Mine, key: Key, found: Found) -> Iterator[Change]:
    """Write down what a month comes to, and bill the difference to what it came to before."""
    row = one.known.get(key)
    now = (found.used, found.amount.minor, _plain(found.lots), not found.gone)
    if row is not None and (row.used, row.amount, row.lots, is_there(row)) == now:
        return
    last = one.owner.money(0 if row is None else row.amount)
    changed = found.amount != last
    revision = (-1 if row is None else row.revision) + (1 if changed else 0)
    if changed:
        _bill(conn, one, key, found, revision, found.amount - last)
    _keep(conn, one, key, found, revision)
    yield Change(
        account=one.owner.id, scope=key[0], meter=key[1], period=found.period, used=found.used,
        amount=found.amount, before=last, revision=revision,
    )  # fmt: skip


def gone(conn: Connection, one: Mine, rated: Period, seen: set[Key]) -> Iterator[Change]:
    """What was rated of these days, and the timeline now has otherwise: it is taken back, with what was left of it."""
    for key, row in one.known.items():
        if key in seen or not rated.start <= row.period_start < rated.end or not is_there(row):
            continue
        nothing = Found(
            period=Period(row.period_start, row.period_end), used=0, free=0, amount=one.owner.money(0), text="",
            why={"correction": "the timeline changed: these days are rated anew"}, tax="", gone=True,
        )  # fmt: skip
        if row.amount:
            earlier = billables.of_source(conn, source(one.owner.id, key), one.owner.currency)[-1]
            nothing = replace(
                nothing, text=f"taken back: {earlier.description}", tax=earlier.tax, service=earlier.service
            )
        yield from note(conn, one, key, nothing)


def is_there(row: Any) -> bool:
    """Whether a row of `usage_rated` is of some days; one that was taken back is of none (it ends where it begins)."""
    return bool(row.period_end > row.period_start)


def source(account: str, key: Key) -> str:
    """What names a month's usage on a billable: it is billed once."""
    return f"usage:{account}:{key[0]}:{key[1]}:{key[2]}"


def _bill(conn: Connection, one: Mine, key: Key, found: Found, revision: int, amount: Money) -> None:
    """The first rating goes with the bill that follows the month, a correction with the next regular one."""
    late = {"revision": f"{revision}: the difference to what was billed before"} if revision else {}
    made = Billable(
        account=one.owner.id, kind="usage", source=source(one.owner.id, key), revision=revision,
        service=found.service, description=found.text, amount=amount,
        billed_from=one.later if revision else found.period.end, tax=found.tax, period=found.period,
        why=found.why | late,
    )  # fmt: skip
    billables.add(conn, made, actor=one.actor)


def _keep(conn: Connection, one: Mine, key: Key, found: Found, revision: int) -> None:
    until = key[2] if found.gone else found.period.end
    values = {
        "account_id": one.owner.id, "scope": key[0], "meter": key[1], "period_start": key[2], "period_end": until,
        "used": found.used, "free": found.free, "amount": found.amount.minor,
        "lots": _plain(found.lots), "revision": revision, "rated_at": clock.now(),
    }  # fmt: skip
    db.upsert(conn, usage_rated, [values], ["account_id", "scope", "meter", "period_start"])


def _plain(lots: Sequence[Lot]) -> list[list[int]]:
    return [[lot.month, lot.left] for lot in lots]
