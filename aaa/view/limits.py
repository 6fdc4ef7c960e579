"""The recorded limits as the view knows them: a copy in the derived database, kept at the feed's end.

Compiling reads the copy alone, so holds and new services go on while the recorded database is away.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.limits import store
from aaa.limits.limit import PLAN, VOUCHER, Limit, Limits, packed
from aaa.models import service_limit, service_limit_change
from aaa.view.models import put_state, state, view_limit, view_sweep
from core.db import Database, insert_many, upsert

_CHUNK = 300
_BATCH = 2000
_POSITION = "limit_seq"
_DECODER = msgspec.msgpack.Decoder(Limit)


class News(msgspec.Struct, frozen=True):
    """Whose limits changed up to a sequence, and what they are now."""

    upto: int
    services: frozenset[str]
    limits: tuple[Limit, ...]


def position(conn: Connection) -> int | None:
    """How far the copy is; None before there is any."""
    found = state(conn, _POSITION)
    return None if found is None else int(found)


def news(recorded: Database, after: int) -> News | None:
    """What the feed has beyond a sequence, at most 2,000 lines at once; None: too far behind, take everything.

    Raises what the database raises.
    """
    with recorded.read() as conn:
        seq = service_limit_change.c.seq
        oldest, newest = conn.execute(sa.select(sa.func.min(seq), sa.func.max(seq))).one()
        if newest is None:
            return News(0, frozenset(), ()) if after == 0 else None
        if newest < after or oldest > after + 1:
            return None
        chosen = sa.select(service_limit_change).where(seq > after).order_by(seq).limit(_BATCH)
        rows = conn.execute(chosen).all()
        services = frozenset(str(row.service) for row in rows)
        upto = max((int(row.seq) for row in rows), default=after)
        return News(upto, services, tuple(store.read(conn, services)))


def everything(recorded: Database) -> News:
    """Every limit there is. Raises what the database raises."""
    with recorded.read() as conn:
        upto = conn.scalar(sa.select(sa.func.max(service_limit_change.c.seq))) or 0
        found = [store.limit_of(row) for row in conn.execute(sa.select(service_limit))]
    return News(upto, frozenset(one.service for one in found), tuple(found))


def whole(derived: Connection, all_there_is: News) -> News:
    """Everything as news against the copy: only of services whose limits are not what the copy says."""
    had: dict[str, set[bytes]] = {}
    for service, body in derived.execute(sa.select(view_limit.c.service, view_limit.c.body)):
        had.setdefault(service, set()).add(bytes(body))
    has: dict[str, set[bytes]] = {}
    for one in all_there_is.limits:
        has.setdefault(one.service, set()).add(packed(one))
    moved = frozenset(name for name in had.keys() | has.keys() if had.get(name) != has.get(name))
    return News(all_there_is.upto, moved, tuple(one for one in all_there_is.limits if one.service in moved))


def keep(derived: Connection, services: Iterable[str], limits: Iterable[Limit]) -> None:
    """Make the copy say these limits of these services, and nothing else of them."""
    names = sorted(set(services))
    for start in range(0, len(names), _CHUNK):
        some = names[start : start + _CHUNK]
        derived.execute(sa.delete(view_limit).where(view_limit.c.service.in_(some)))
    rows = [
        {"service": one.service, "cause": one.cause, "plan": _plan(one), "body": packed(one)}
        for one in limits
    ]
    insert_many(derived, view_limit, rows)


def moved(derived: Connection, upto: int) -> None:
    """The copy is there."""
    put_state(derived, _POSITION, str(upto))


def known(derived: Connection, services: Sequence[str]) -> Limits:
    """What the copy says of these services, and the open slots of all plans."""
    # ':' is followed by ';' in ASCII: the range holds exactly the `plan:` rows.
    slots = sa.and_(view_limit.c.service >= PLAN, view_limit.c.service < "plan;")
    rows = list(derived.scalars(sa.select(view_limit.c.body).where(slots)))
    for start in range(0, len(services), _CHUNK):
        which = view_limit.c.service.in_(services[start : start + _CHUNK])
        rows += derived.scalars(sa.select(view_limit.c.body).where(which))
    return limits_of(_DECODER.decode(bytes(body)) for body in rows)


def limits_of(limits: Iterable[Limit]) -> Limits:
    """Limits by service, each service's by cause."""
    found: dict[str, dict[str, Limit]] = {}
    for one in limits:
        found.setdefault(one.service, {})[one.cause] = one
    by_service: Mapping[str, tuple[Limit, ...]] = {
        name: tuple(causes[cause] for cause in sorted(causes)) for name, causes in found.items()
    }
    return Limits(by_service)


def vouchers(derived: Connection, plans: Iterable[str] | None = None) -> set[str]:
    """Ids of the vouchers, or of those of these plans."""
    chosen = sa.select(view_limit.c.service).where(view_limit.c.cause == VOUCHER)
    if plans is not None:
        chosen = sa.select(view_limit.c.service).where(view_limit.c.plan.in_(sorted(set(plans))))
    return set(derived.scalars(chosen))


def sweep(derived: Connection, plan: str) -> None:
    """Every service of a plan has to be compiled again, from the beginning."""
    upsert(derived, view_sweep, [{"plan": plan, "after": ""}], key=["plan"])


def pending(derived: Connection) -> tuple[str, str] | None:
    """A plan that is swept, and the service up to which it is."""
    row = derived.execute(sa.select(view_sweep).order_by(view_sweep.c.plan).limit(1)).first()
    return None if row is None else (row.plan, row.after)


def swept(derived: Connection, plan: str, after: str | None) -> None:
    """The sweep is so far; None: done."""
    which = view_sweep.c.plan == plan
    if after is None:
        derived.execute(sa.delete(view_sweep).where(which))
    else:
        derived.execute(sa.update(view_sweep).where(which).values(after=after))


def _plan(limit: Limit) -> str:
    return str(limit.data.get("plan", "")) if limit.cause == VOUCHER else ""
