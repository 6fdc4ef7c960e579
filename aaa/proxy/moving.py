"""Tables of what the old server answered beside us: counts by day, and the logins that still differ."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from aaa.models import moving_difference, moving_tally
from aaa.proxy.movers import Movers

_MOST = 20_000
_KEEP = timedelta(days=90)
OTHERS = "(others)"
"""Counts of more realms than are counted each for itself."""
_WHAT = ("agreed", "differed", "skipped", "silent")


class Tally(NamedTuple):
    """What is counted: `what` is agreed, differed, skipped, silent, or a kind of difference."""

    day: date
    realm: str
    nas: str
    what: str


class Found(msgspec.Struct, frozen=True):
    """A difference of a login, as often as it was seen since the last time that they were written."""

    nas: str
    login: str
    realm: str
    kind: str
    ours: str
    theirs: str
    seen: int
    at: datetime


class Scope(msgspec.Struct, frozen=True):
    """How a realm or a NAS compares. `ready`: compared, and no login that differs is left."""

    name: str
    agreed: int
    differed: int
    skipped: int
    silent: int
    open: int

    @property
    def percent(self) -> float | None:
        """Agreement; None when nothing was compared."""
        compared = self.agreed + self.differed
        return round(100 * self.agreed / compared, 2) if compared else None

    @property
    def ready(self) -> bool:
        """Whether it can be cut over."""
        return self.agreed > 0 and not self.open


class Only(msgspec.Struct, frozen=True):
    """What is asked for: of what still moves, all, or one realm or NAS."""

    movers: Movers
    realm: str = ""
    nas: str = ""


def write(
    conn: Connection, tally: Mapping[Tally, int], found: Iterable[Found], agreed: Iterable[tuple[str, str]]
) -> None:
    """Add counts, note differences anew, and forget those of logins that agree now."""
    insert = sqlite.insert if conn.dialect.name == "sqlite" else postgresql.insert
    if tally:
        made = insert(moving_tally)
        conn.execute(
            made.on_conflict_do_update(
                index_elements=["day", "realm", "nas", "what"],
                set_={"number": moving_tally.c.number + made.excluded.number},
            ),
            [{**one._asdict(), "number": number} for one, number in sorted(tally.items())],
        )
    for nas, login in sorted(agreed):
        conn.execute(_of(nas, login))
    for (nas, login), group in groupby(found, key=lambda one: (one.nas, one.login)):
        now = list(group)
        kept = [one.kind for one in now]
        conn.execute(_of(nas, login).where(moving_difference.c.kind.not_in(kept)))
        for one in now:
            _note(conn, insert, one)


def known_different(conn: Connection) -> set[tuple[str, str]]:
    """(NAS, login) of every difference that is open."""
    rows = conn.execute(sa.select(moving_difference.c.nas, moving_difference.c.login).distinct())
    return {(row.nas, row.login) for row in rows}


def forget(conn: Connection, now: datetime) -> None:
    """Old counts go after ninety days; of the differences the newest 20,000 stay."""
    conn.execute(sa.delete(moving_tally).where(moving_tally.c.day < (now - _KEEP).date()))
    oldest = conn.scalar(
        sa.select(moving_difference.c.last_at)
        .order_by(moving_difference.c.last_at.desc())
        .offset(_MOST)
        .limit(1)
    )
    if oldest is not None:
        conn.execute(sa.delete(moving_difference).where(moving_difference.c.last_at <= oldest))


def scopes(conn: Connection, by: str, since: date, only: Only) -> list[Scope]:
    """Every realm (`by="realm"`) or NAS (`by="nas"`) that was compared since that day."""
    column, counted = moving_tally.c[by], sa.func.sum(moving_tally.c.number)
    chosen = sa.select(column, moving_tally.c.what, counted).where(
        moving_tally.c.day >= since, moving_tally.c.what.in_(_WHAT)
    )
    chosen = _limited(chosen, moving_tally, only)
    counts: dict[str, dict[str, int]] = {}
    for name, what, number in conn.execute(chosen.group_by(column, moving_tally.c.what)):
        counts.setdefault(name, {})[what] = int(number)
    still = _open(conn, by, only)
    return [
        Scope(name, **{what: found.get(what, 0) for what in _WHAT}, open=still.get(name, 0))
        for name, found in sorted(counts.items())
    ]


def kinds(conn: Connection, since: date, only: Only) -> dict[str, int]:
    """How often each kind of difference was seen."""
    chosen = sa.select(moving_tally.c.what, sa.func.sum(moving_tally.c.number)).where(
        moving_tally.c.day >= since, moving_tally.c.what.not_in(_WHAT)
    )
    rows = conn.execute(_limited(chosen, moving_tally, only).group_by(moving_tally.c.what))
    return {what: int(number) for what, number in sorted(rows, key=lambda row: -int(row[1]))}


def examples(conn: Connection, limit: int, only: Only) -> list[dict[str, Any]]:
    """Logins that differ, the latest first."""
    chosen = _limited(sa.select(moving_difference), moving_difference, only)
    newest = chosen.order_by(moving_difference.c.last_at.desc(), moving_difference.c.login).limit(limit)
    return [dict(row._mapping) for row in conn.execute(newest)]


def compared(conn: Connection) -> set[tuple[str, str]]:
    """(realm, NAS) of everything that is kept, also of what does not move any more."""
    tables = moving_tally, moving_difference
    rows = conn.execute(sa.union(*(sa.select(one.c.realm, one.c.nas) for one in tables)))
    return {(row.realm, row.nas) for row in rows}


def cut_over(pairs: Collection[tuple[str, str]], only: Only) -> list[tuple[str, str]]:
    """(`realm` or `nas`, name) of those that were compared (`pairs`) and of which nothing moves any more."""
    found = []
    chosen = [one for one in pairs if only.realm in ("", one[0]) and only.nas in ("", one[1])]
    for index, by in enumerate(("realm", "nas")):
        still = {one[index] for one in pairs if only.movers.has(*one)}
        found += [(by, name) for name in sorted({one[index] for one in chosen} - still - {"", OTHERS})]
    return found


def _of(nas: str, login: str) -> sa.Delete:
    return sa.delete(moving_difference).where(
        moving_difference.c.nas == nas, moving_difference.c.login == login
    )


def _note(conn: Connection, insert: Any, one: Found) -> None:
    row = {
        "nas": one.nas, "login": one.login[:253], "kind": one.kind, "realm": one.realm[:128],
        "ours": one.ours[:200], "theirs": one.theirs[:200], "seen": one.seen,
        "first_at": one.at, "last_at": one.at,
    }  # fmt: skip
    made = insert(moving_difference).values(**row)
    conn.execute(
        made.on_conflict_do_update(
            index_elements=["nas", "login", "kind"],
            set_={
                "ours": made.excluded.ours,
                "theirs": made.excluded.theirs,
                "last_at": made.excluded.last_at,
                "seen": moving_difference.c.seen + made.excluded.seen,
            },
        )
    )


def _open(conn: Connection, by: str, only: Only) -> dict[str, int]:
    column = moving_difference.c[by]
    logins = sa.func.count(sa.distinct(moving_difference.c.login))
    chosen = _limited(sa.select(column, logins), moving_difference, only).group_by(column)
    return {name: int(number) for name, number in conn.execute(chosen)}


def _limited(chosen: Any, table: sa.Table, only: Only) -> Any:
    moves = table.c.realm.in_(sorted(only.movers.realms)), table.c.nas.in_(sorted(only.movers.nases))
    chosen = chosen.where(sa.or_(*moves))
    if only.realm:
        chosen = chosen.where(table.c.realm == only.realm)
    return chosen.where(table.c.nas == only.nas) if only.nas else chosen
