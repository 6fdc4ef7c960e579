"""Vouchers: made in batches, used at hotspots, bound to the first devices, over after their time or octets.

Table `voucher` is what a voucher is; its row in `service_limit` is what the view needs of it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.limits import quota, store
from aaa.limits.codes import Codes, new_code
from aaa.limits.limit import VOUCHER, VOUCHER_ID, Limit
from aaa.limits.quota import Use
from aaa.models import voucher
from core import clock, events
from core.db import insert_many
from core.errors import Terminal
from core.ids import new_id

_CHUNK = 300
_MOST_OCTETS, _NAME = 1 << 60, 63
_MOST = 100_000
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
"""The one period that a voucher's octets are counted in."""
_KEEP = timedelta(days=30)
_ALIVE = ("early", "fresh", "active")


class VoucherNotUsable(Terminal):
    """Vouchers that cannot be made or found."""


class Terms(msgspec.Struct, frozen=True):
    """What a voucher is good for. `seconds` from its first login, `octets` both ways; 0: not limited by them."""

    plan: str
    seconds: int = 0
    octets: int = 0
    devices: int = 1
    valid_from: datetime | None = None
    valid_until: datetime | None = None


class Made(msgspec.Struct, frozen=True):
    """A new voucher. The code is here and nowhere else."""

    voucher: str
    code: str


def create(conn: Connection, codes: Codes, terms: Terms, count: int, batch: str, actor: str) -> list[Made]:
    """Make vouchers in the caller's transaction. Raises VoucherNotUsable."""
    if not 1 <= count <= _MOST:
        raise VoucherNotUsable(f"{count} vouchers at once cannot be made; ask for 1 to {_MOST}")
    if not (terms.seconds or terms.octets or terms.valid_until):
        raise VoucherNotUsable("a voucher without time, octets or last day would be good for ever; give one")
    if not 1 <= terms.devices <= 20:
        raise VoucherNotUsable(f"a voucher for {terms.devices} devices cannot be made; 1 to 20")
    if why := _never(terms, batch):
        raise VoucherNotUsable(why)
    early = terms.valid_from is not None and terms.valid_from > clock.now()
    made, rows = [], []
    for _ in range(count):
        code, identifier = new_code(), VOUCHER_ID + new_id("v").removeprefix("v_")
        made.append(Made(identifier, code))
        rows.append(
            msgspec.structs.asdict(terms)
            | {"voucher": identifier, "digest": codes.digest(code), "batch": batch, "macs": [],
               "state": "early" if early else "fresh", "actor": actor, "at": clock.now()}
        )  # fmt: skip
    insert_many(conn, voucher, rows)
    publish(conn, [one.voucher for one in made])
    data = {"count": count, "plan": terms.plan}
    events.emit(conn, "voucher.created", batch, data, actor=actor)
    return made


def _never(terms: Terms, batch: str) -> str:
    """Why nobody could ever use such vouchers; empty when somebody can."""
    begins, ends = terms.valid_from, terms.valid_until
    if ends is not None and ends <= clock.now():
        return f"they would be over already ({ends:%Y-%m-%d %H:%M}); name a later last day"
    if begins is not None and ends is not None and ends <= begins:
        return f"they would be over ({ends:%Y-%m-%d %H:%M}) before they begin ({begins:%Y-%m-%d %H:%M})"
    if not 0 <= terms.octets < _MOST_OCTETS:
        return f"{terms.octets} octets cannot be counted; at most {_MOST_OCTETS - 1}"
    if len(batch) > _NAME:
        return f"a batch's name has at most {_NAME} characters"
    return ""


def listed(conn: Connection, batch: str = "", state: str = "", limit: int = 1000) -> list[dict[str, Any]]:
    """Vouchers without their codes, the newest first."""
    chosen = sa.select(*(column for column in voucher.c if column.name != "digest"))
    if batch:
        chosen = chosen.where(voucher.c.batch == batch)
    if state:
        chosen = chosen.where(voucher.c.state == state)
    rows = conn.execute(chosen.order_by(voucher.c.at.desc(), voucher.c.voucher.desc()).limit(limit))
    return [dict(row._mapping) for row in rows]


def find(conn: Connection, codes: Codes, name: str) -> list[str]:
    """Ids of the vouchers that a name means: an id, a code, or all of a batch. Raises VoucherNotUsable."""
    digest = codes.digest(name)
    which = voucher.c.voucher == name if name.startswith(VOUCHER_ID) else voucher.c.batch == name
    if digest is not None:
        which = sa.or_(which, voucher.c.digest == digest)
    found = list(conn.scalars(sa.select(voucher.c.voucher).where(which)))
    if not found:
        # What was asked for may be a code: it is not said again.
        raise VoucherNotUsable("no voucher has this id or code, and no batch this name")
    return found


def cancel(conn: Connection, ids: Sequence[str], actor: str) -> int:
    """End vouchers now, whoever uses them; returns how many were not over already."""
    ended = _end(conn, ids, "cancelled")
    for identifier in ended:
        events.emit(conn, "voucher.cancelled", identifier, {}, actor=actor)
    return len(ended)


def begun(conn: Connection, logins: Mapping[str, tuple[datetime, str]]) -> None:
    """Sessions of vouchers began: voucher -> (moment, MAC). The first sets the end; devices are bound as they come.

    Whoever touches a voucher has the feed's turn first: two that touch the same never wait in a circle.
    """
    store.take_turn(conn)
    changed = []
    for row in _rows(conn, logins):
        moment, mac = logins[row.voucher]
        first = row.first_use or moment
        macs = row.macs if not mac or mac in row.macs or len(row.macs) >= row.devices else [*row.macs, mac]
        if row.first_use is not None and macs == row.macs:
            continue
        ends = [one for one in (row.valid_until, _after(first, row.seconds)) if one is not None]
        conn.execute(
            sa.update(voucher)
            .where(voucher.c.voucher == row.voucher)
            .values(first_use=first, ends=min(ends, default=None), macs=macs, state="active")
        )
        changed.append(row.voucher)
    publish(conn, changed)


def spend(conn: Connection, counted: Mapping[str, Use], stopped: Collection[str]) -> None:
    """Octets and seconds of vouchers were counted: those that have no octets more are over.

    What is left is told to the next login when a session has `stopped`: while it lives it changes with every interim.
    """
    if not counted:
        return
    used, ended = quota.uses(conn, counted, VOUCHER, _BEGINNING), []
    for row in _rows(conn, counted):
        use, more = used.setdefault((row.voucher, _BEGINNING), Use(_BEGINNING, None)), counted[row.voucher]
        use.up, use.down, use.seconds = use.up + more.up, use.down + more.down, use.seconds + more.seconds
        if row.octets and use.counted("total") >= row.octets:
            ended.append(row.voucher)
    quota.keep_uses(conn, VOUCHER, used)
    _end(conn, ended, "used")
    publish(conn, sorted(set(stopped) - set(ended)))


def is_due(conn: Connection, now: datetime) -> bool:
    """Whether there is anything to tidy. Reads only."""
    some = (sa.select(voucher.c.voucher).where(which).limit(1) for which in _due(now))
    return any(conn.execute(one).first() is not None for one in some)


def _due(now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """Whose first day has come, whose time is over, who has been over for long."""
    return (
        sa.and_(voucher.c.state == "early", voucher.c.valid_from <= now),
        sa.and_(voucher.c.state.in_(_ALIVE), sa.or_(voucher.c.ends <= now, voucher.c.valid_until <= now)),
        sa.and_(voucher.c.state.in_(("used", "cancelled")), voucher.c.ends < now - _KEEP),
    )


def tidy(conn: Connection, now: datetime, at_most: int = 1000) -> int:
    """Vouchers whose time is over are used; those over for thirty days leave the view. Returns how many."""
    store.take_turn(conn)
    early, passed, old = _due(now)
    _awake(conn, early, at_most)
    ids = list(conn.scalars(sa.select(voucher.c.voucher).where(passed).limit(at_most)))
    gone = list(conn.scalars(sa.select(voucher.c.voucher).where(old).limit(at_most)))
    if gone:
        store.lift(conn, [(one, VOUCHER) for one in gone])
        conn.execute(sa.update(voucher).where(voucher.c.voucher.in_(gone)).values(state="gone"))
    return len(_end(conn, ids, "used")) + len(gone)


def _awake(conn: Connection, due: sa.ColumnElement[bool], at_most: int) -> None:
    """Those whose first day has come."""
    ids = list(conn.scalars(sa.select(voucher.c.voucher).where(due).limit(at_most)))
    if ids:
        conn.execute(sa.update(voucher).where(voucher.c.voucher.in_(ids)).values(state="fresh"))
        publish(conn, ids)


def publish(conn: Connection, ids: Sequence[str]) -> None:
    """Make the view's row of these vouchers say what they are now."""
    rows = _rows(conn, ids)
    counted = [row.voucher for row in rows if row.octets and row.first_use is not None]
    used = quota.uses(conn, counted, VOUCHER, _BEGINNING)
    nothing = Use(_BEGINNING, None)
    store.put(conn, [_limit(row, used.get((row.voucher, _BEGINNING), nothing)) for row in rows], "voucher")


def _end(conn: Connection, ids: Sequence[str], state: str) -> list[str]:
    store.take_turn(conn)
    ended = [row.voucher for row in _rows(conn, ids) if row.state in _ALIVE]
    for start in range(0, len(ended), _CHUNK):
        mine = voucher.c.voucher.in_(ended[start : start + _CHUNK])
        conn.execute(sa.update(voucher).where(mine).values(state=state, ends=clock.now()))
    publish(conn, ended)
    return ended


def _limit(row: Any, use: Use) -> Limit:
    over = "" if row.state in ("fresh", "active") else row.state
    ends = row.ends or row.valid_until
    data = {
        "digest": bytes(row.digest).hex(), "plan": row.plan, "seconds": int(row.seconds),
        "octets": int(row.octets), "devices": row.devices, "macs": row.macs, "over": over,
        "begun": row.first_use is not None,
    }  # fmt: skip
    if row.octets:
        data["left"] = max(0, int(row.octets) - use.counted("total"))
    return Limit(row.voucher, VOUCHER, "voucher", until=int(ends.timestamp()) if ends else 0, data=data)


def _rows(conn: Connection, ids: Iterable[str]) -> list[Any]:
    wanted = sorted(set(ids))
    found: list[Any] = []
    for start in range(0, len(wanted), _CHUNK):
        mine = voucher.c.voucher.in_(wanted[start : start + _CHUNK])
        found += conn.execute(sa.select(voucher).where(mine)).all()
    return found


def _after(moment: datetime, seconds: int) -> datetime | None:
    return moment + timedelta(seconds=int(seconds)) if seconds else None
