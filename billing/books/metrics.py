"""Monthly recurring revenue and what moved it, from the timelines; set-based, whatever the number of accounts.

What an item is worth a month is its price without tax, by the months of its period, half-up to the minor unit: one
integer an item, so that everything adds up exactly. It counts as it stands at the end of a month's last day. Who pauses
(a vacation) stays a customer and is worth nothing meanwhile. What goes to another account leaves nobody: the accounts
of a transfer move together in its month.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.books import metrics_sql as sql
from billing.models import invoice, invoice_line, tax_rate
from billing.periods import clamped, month_index
from core.money import Money, half_up


class PlanMonth(msgspec.Struct, frozen=True):
    """A plan at the end of a month: items, their worth a month, and that of one of them on average."""

    plan: str
    items: int
    mrr: Money
    arpu: Money


class Month(msgspec.Struct, frozen=True, kw_only=True):
    """A month in one currency: opening + new + reactivation + expansion - contraction - churn = closing, exactly.

    Accounts: opening + new + reactivated - churned = closing. `billed`: net of the items' lines issued in the month.
    """

    month: date
    opening: Money
    new: Money
    reactivation: Money
    expansion: Money
    contraction: Money
    churn: Money
    closing: Money
    accounts_opening: int
    accounts_new: int
    accounts_reactivated: int
    accounts_churned: int
    accounts_closing: int
    billed: Money
    plans: tuple[PlanMonth, ...]

    @property
    def arpu(self) -> Money:
        """What an account is worth a month on average."""
        return _average(self.closing, self.accounts_closing)

    @property
    def logo_churn(self) -> Fraction | None:
        """Which part of the accounts left; None where there were none."""
        return Fraction(self.accounts_churned, self.accounts_opening) if self.accounts_opening else None

    @property
    def revenue_churn(self) -> Fraction | None:
        """Which part of the revenue was lost by churn and contraction; None where there was none."""
        lost = self.churn.minor + self.contraction.minor
        return Fraction(lost, self.opening.minor) if self.opening.minor else None


def metrics(conn: Connection, since: date, until: date) -> list[Month]:
    """The months that begin from `since`'s month on and before `until`, ordered by month and currency."""
    months = _months(since, until)
    if not months:
        return []
    ends = [months[0] - timedelta(days=1), *(_last_day(month) for month in months)]
    sql.begin(conn)
    conn.execute(
        sa.insert(sql.DAY),
        [{"day": day, "following": after} for day, after in zip(ends, [*ends[1:], None], strict=True)],
    )
    if rates := list(_inclusive_rates(conn, ends)):
        conn.execute(sa.insert(sql.RATE), rates)
    if groups := list(_groups(conn, ends)):
        conn.execute(sa.insert(sql.GROUP), groups)
    sql.fill(conn, ends[-1])
    plans = _plans(conn)
    billed = _billed(conn, months[0], ends[-1])
    found = [_month(row, plans, billed) for row in sql.movements(conn)]
    sql.end(conn)
    return found


def _month(
    row: Any, plans: "dict[tuple[date, str], list[PlanMonth]]", billed: dict[tuple[int, str], int]
) -> Month:
    day, currency = _day(row["day"]), row["currency"]
    first = day.replace(day=1)

    def money(name: str) -> Money:
        return Money(int(row[name]), currency)

    return Month(
        month=first, opening=money("opening"), new=money("new"), reactivation=money("reactivation"),
        expansion=money("expansion"), contraction=money("contraction"), churn=money("churn"), closing=money("closing"),
        accounts_opening=int(row["accounts_opening"]), accounts_new=int(row["accounts_new"]),
        accounts_reactivated=int(row["accounts_reactivated"]), accounts_churned=int(row["accounts_churned"]),
        accounts_closing=int(row["accounts_closing"]), plans=tuple(plans[day, currency]),
        billed=Money(billed.get((month_index(first), currency), 0), currency),
    )  # fmt: skip


def _plans(conn: Connection) -> "dict[tuple[date, str], list[PlanMonth]]":
    state = sql.STATE.c
    query = sa.select(
        state.day, state.currency, state.plan, sa.func.sum(state["items"]), sa.func.sum(state.mrr)
    )
    query = query.group_by(state.day, state.currency, state.plan).order_by(
        state.day, state.currency, state.plan
    )
    found: dict[tuple[date, str], list[PlanMonth]] = defaultdict(list)
    for row in conn.execute(query):
        mrr = Money(int(row[4]), row[1])
        found[row[0], row[1]].append(PlanMonth(row[2], int(row[3]), mrr, _average(mrr, int(row[3]))))
    return found


def _billed(conn: Connection, first: date, last: date) -> dict[tuple[int, str], int]:
    """(month index, currency) -> net of lines of items that were issued in it, credit notes taken off."""
    query = (
        sa.select(invoice.c.issued_on, invoice.c.currency, sa.func.sum(invoice_line.c.net))
        .join(invoice_line, invoice_line.c.invoice_id == invoice.c.id)
        .where(invoice.c.state == "final", invoice.c.issued_on >= first, invoice.c.issued_on <= last)
        .where(invoice_line.c.kind == "recurring")
        .group_by(invoice.c.issued_on, invoice.c.currency)
    )
    found: dict[tuple[int, str], int] = defaultdict(int)
    for row in conn.execute(query):
        found[month_index(row[0]), row[1]] += int(row[2])
    return found


def _groups(conn: Connection, ends: list[date]) -> Iterator[dict[str, Any]]:
    """Accounts that a service went between, by the end of the month in which it did: each with one that leads them."""
    followed: dict[date, dict[str, str]] = defaultdict(dict)
    for before, after, on in sql.transfers(conn, ends[0], ends[-1]):
        mine = followed[_last_day(on)]
        mine[_leader(mine, after)] = _leader(mine, before)
    for day, mine in followed.items():
        yield from ({"day": day, "account_id": name, "leader": _leader(mine, name)} for name in mine)


def _leader(followed: dict[str, str], name: str) -> str:
    while (leader := followed.setdefault(name, name)) != name:
        followed[name] = followed[leader]  # the way gets shorter: many may have gone to one
        name = leader
    return name


def _inclusive_rates(conn: Connection, days: list[date]) -> Iterator[dict[str, Any]]:
    """For each day the rates that prices contain."""
    rows = conn.execute(sa.select(tax_rate).order_by(tax_rate.c.valid_from)).all()
    for day in days:
        current = {(row.profile, row.category): row for row in rows if row.valid_from <= day}
        for (profile, category), row in current.items():
            if row.inclusive:
                yield {"day": day, "profile": profile, "category": category, "millionths": row.millionths}


def _months(since: date, until: date) -> list[date]:
    first = month_index(since)
    return [clamped(1, n) for n in range(first, month_index(until) + 1) if clamped(1, n) < until]


def _last_day(month: date) -> date:
    return clamped(1, month_index(month) + 1) - timedelta(days=1)


def _average(amount: Money, count: int) -> Money:
    return Money(half_up(Fraction(amount.minor, count)) if count else 0, amount.currency)


def _day(value: Any) -> date:
    return date.fromisoformat(value) if isinstance(value, str) else value  # SQLite gives a date as its text
