"""What a price change would do if everybody were moved: who, how much a month, and last month at the new price."""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date

import msgspec

from billing.periods import Period
from billing.prices import deciding, reading
from billing.prices.deciding import Move
from billing.prices.errors import NoticeTooShort
from billing.prices.replay import Replayed, month_before, replay
from billing.runs.known import Known
from core.db import Database
from core.money import Money
from intents.reader import Reader

_CHUNK = 500
Watch = Callable[[int, int], None]


class Group(msgspec.Struct, frozen=True):
    """Those who have one version at one price: how many items, and how much more a month each would be."""

    version: str
    price: Money
    months: int
    items: int
    each: Money


class AccountChange(msgspec.Struct, frozen=True):
    """An account: how much more a month before tax, and its last month with tax as it was and as it would have been."""

    account: str
    monthly: Money
    before: Money
    after: Money


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """`monthly`, `before`, `after`: of all accounts, by currency in minor units; of `currency` alone, which is that of
    the version: others are not touched. `left`: service or account -> why.
    """

    plan: str
    version: str
    currency: str
    on: date
    month: Period
    groups: tuple[Group, ...]
    accounts: tuple[AccountChange, ...]
    monthly: dict[str, int]
    before: dict[str, int]
    after: dict[str, int]
    left: dict[str, str]
    again: bool = True

    @property
    def items(self) -> int:
        """How many items are at another version."""
        return sum(one.items for one in self.groups)


def preview(
    database: Database,
    reader: Reader,
    plan: str,
    version: str | None = None,
    *,
    on: date | None = None,
    old: str | None = None,
    in_term: bool = False,
    again: bool = True,
    chunk: int = _CHUNK,
    watch: Watch = lambda _, __: None,
) -> Preview:
    """What `apply` would do on a day (default: today) with a version (default: the last in the operator's currency),
    and the month before again.

    Without `again` last month is left out, which takes long. It changes nothing, and so does the new version: who
    has an older one keeps it. Raises PlanUnknown, PriceVersionUnknown, VersionUnsaid, PriceCurrencyOther, and
    NoticeTooShort for a day that has passed.
    """
    today = reading.today(reader)
    day = on or today
    change = reading.change_of(reader, plan, version, day, old=old, in_term=in_term)
    terms = change.terms
    if day < today:
        raise NoticeTooShort(plan, day, 0, today)
    month = month_before(today)
    known = Known(reader, month.start)
    groups: Counter[tuple[str, Money, int, Money]] = Counter()
    found: list[AccountChange] = []
    left: dict[str, str] = {}
    total, ranges_ = reading.chunks(database, plan, chunk)
    done = 0
    for within in ranges_ if total else []:
        with database.read() as conn:
            accounts = list(conn.execute(reading.having(plan, within)).scalars())
            for account, items in reading.items_of(conn, accounts):
                decided = [(item, deciding.decide(item, change)) for item in items]
                left |= {item.service: why for item, why in decided if isinstance(why, str)}
                moves = [one for _, one in decided if isinstance(one, Move)]
                if not moves:
                    continue
                for one in moves:
                    groups[one.before.version, one.before.price, one.before.months, one.monthly] += 1
                more = sum((one.monthly for one in moves[1:]), moves[0].monthly)
                told = replay(conn, known, account, items, change, month) if again else None
                found.append(_account(account, more, told, left))
        done += len(accounts)
        watch(done, total)
    return Preview(
        plan=plan, version=terms.version, currency=terms.price.currency, on=day, month=month,
        again=again, left=dict(sorted(left.items())),
        groups=tuple(Group(*key[:3], count, key[3]) for key, count in sorted(groups.items())),
        accounts=tuple(sorted(found, key=lambda one: (-abs(one.monthly.minor), one.account))),
        monthly=_sum(one.monthly for one in found), before=_sum(one.before for one in found),
        after=_sum(one.after for one in found),
    )  # fmt: skip


def _account(account: str, more: Money, told: Replayed | str | None, left: dict[str, str]) -> AccountChange:
    if isinstance(told, Replayed):
        return AccountChange(account, more, told.before, told.after)
    if told is not None:
        left[account] = told
    return AccountChange(account, more, Money.zero(more.currency), Money.zero(more.currency))


def _sum(amounts: Iterable[Money]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for one in amounts:
        found[one.currency] += one.minor
    return dict(found)
