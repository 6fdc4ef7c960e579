"""A service as support sees it: what restricts it, whether the network proved it, sessions, refusals."""

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.engine import Connection

from aaa import support
from aaa.limits import store
from aaa.limits.limit import Limit
from aaa.radius.refusals import last_refusals
from aaa.view.entitlement import combine, restricted
from aaa.view.models import newest, state
from api.errors import NotThere
from api.here import Installed
from intents.hold.kind import reason_of
from intents.index.models import index_change
from intents.reader import Reader
from intents.service.schema import Service
from reconciler import receipts
from reconciler.models import position, session_work
from reconciler.receipts import Receipt
from reconciler.sessions import LANE


class Hold(BaseModel):
    """A reason why the service is restricted."""

    reason: str
    effect: str
    since: datetime | None
    cause: str | None


class RecordedLimit(BaseModel):
    """A limit that counters, a clock or a person recorded: fair use, prepaid credit, an override, a full service.

    Rates in bit/s, 0: none.
    """

    cause: str
    effect: str
    down: int
    up: int
    until: datetime | None


class ServiceState(BaseModel):
    """A service. `proven`: every worker and every live session is on what trunk says; `free`: and nothing restricts.

    `restriction` is what holds and recorded limits together do.
    """

    id: str
    customer: str
    type: str
    state: str
    plan: str
    line: str | None
    login: str | None
    on_hold: str
    restriction: str
    holds: list[Hold]
    limits: list[RecordedLimit]
    proven: bool
    free: bool


class Live(BaseModel):
    """A session, open or closed."""

    ref: str
    state: str
    nas: str
    login: str
    address: str
    started_at: datetime
    stopped_at: datetime | None
    cause: str
    stale: bool
    up_octets: int
    down_octets: int


def service_state(here: Installed, service: str) -> ServiceState:
    """One service. Raises NotThere."""
    with here.context.reader() as reader:
        value: Service | None = reader.get("service", service)
        if value is None:
            raise NotThere("service", service)
        found = holds(reader, service)
        # In this order: what SQL says afterwards is at least as new as the sequence that we compare it with.
        with here.context.index_db.read() as index:
            upto = _view_position(index, service)
        with here.context.db.read() as conn:
            proven = upto is not None and _settled(conn, service, upto)
            limits = tuple(store.read(conn, [service]))
        restriction = restricted(value, reader.get("plan", value.plan), combine(found), limits).effect
    return ServiceState(
        id=service, customer=value.customer, type=value.type, state=value.state, plan=value.plan,
        line=value.line, login=value.session.login if value.session else None, on_hold=value.on_hold,
        restriction=restriction, holds=[_hold(name, hold) for name, hold in found],
        limits=[_limit(one) for one in limits], proven=proven,
        free=proven and not restriction and value.state == "active",
    )  # fmt: skip


def holds(reader: Reader, service: str) -> list[tuple[str, Any]]:
    """(id, hold) of everything that restricts a service now."""
    named = [name for _, name in reader.referrers("service", service, "hold")]
    return [(name, reader.get("hold", name)) for name in named]


def sessions(conn: Connection, service: str, limit: int = 20) -> list[Live]:
    """Its newest sessions, closed ones too."""
    return [_live(one) for one in support.sessions(conn, service=service, closed=True, limit=limit)]


def refusals(conn: Connection, service: str, login: str | None) -> list[dict[str, Any]]:
    """Why its login was refused lately, and whoever asked for it."""
    return last_refusals(conn, login or "", service)


def receipts_of(conn: Connection, service: str, limit: int = 20) -> list[Receipt]:
    """Its newest receipts."""
    return receipts.of_target(conn, service, limit)


def _view_position(index: Connection, service: str) -> int | None:
    """The sequence up to which lane 1 must be for the service to be proven; None while the view lags behind trunk."""
    own = sa.and_(index_change.c.kind == "service", index_change.c.id == service)
    # '/' follows '.' in ASCII: the range holds exactly the ids `<service>.<reason>`.
    its = sa.and_(
        index_change.c.kind == "hold", index_change.c.id > f"{service}.", index_change.c.id < f"{service}/"
    )
    last = index.execute(sa.select(sa.func.max(index_change.c.seq)).where(sa.or_(own, its))).scalar()
    built = state(index, "index_seq")
    if built is None or int(built) < int(last or 0):
        return None
    return newest(index)


def _settled(conn: Connection, service: str, upto: int) -> bool:
    at = conn.execute(sa.select(position.c.seq).where(position.c.lane == LANE)).scalar()
    waits = conn.execute(sa.select(session_work.c.seq).where(session_work.c.service == service)).first()
    return at is not None and at >= upto and waits is None


def _hold(name: str, hold: Any) -> Hold:
    return Hold(reason=reason_of(name), effect=hold.effect, since=hold.since, cause=hold.cause)


def _limit(one: Limit) -> RecordedLimit:
    until = store.moment(one.until)
    return RecordedLimit(cause=one.cause, effect=one.effect, down=one.down, up=one.up, until=until)


def _live(one: Any) -> Live:
    known = {
        field: value for field, value in msgspec.structs.asdict(one).items() if field in Live.model_fields
    }
    return Live(ref=one.session_ref, address=one.framed_address, **known)
