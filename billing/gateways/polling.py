"""Events that no webhook brought are fetched: a debit that came back, a dispute, a refund at the gateway itself."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.gateways import recording
from billing.gateways.models import cursor, heard
from billing.gateways.protocol import Gateway, Told
from core import clock, db, events, jobs
from core.db import Database
from core.errors import Terminal
from core.jobs import Job

POLL = "billing.gateway-poll"
OLDEST = timedelta(days=29)
"""Stripe keeps events for 30 days."""
_WINDOW = timedelta(hours=6)
_OVERLAP = timedelta(hours=1)
"""An event may be listed a little later than it happened."""
_CHUNK = 500
Connect = Callable[[str], Gateway]


def begin(conn: Connection, gateway: str) -> None:
    """Fetch a gateway's events from now on; one that is known goes on from where it is."""
    db.upsert(conn, cursor, [{"gateway": gateway, "until": clock.now()}], ["gateway"], update=())


def queue(conn: Connection) -> int:
    """Have every gateway's events fetched; returns how many gateways. Again: none, while the jobs wait."""
    names = conn.execute(sa.select(cursor.c.gateway).order_by(cursor.c.gateway)).scalars().all()
    return sum(jobs.enqueue(conn, POLL, {"gateway": name}, unique=f"{POLL}:{name}") for name in names)


def perform(database: Database, job: Job, connect: Connect) -> int:
    """Fetch what happened since the last time, and hear what was not heard; returns how many events were new.

    What was fetched stays so when it is interrupted. Raises GatewaySilent, KeyRefused, GatewayUnknown.
    """
    name, end, new = job.payload["gateway"], clock.now(), 0
    gateway = connect(name)
    with database.read() as conn:
        known: datetime = conn.execute(sa.select(cursor.c.until).where(cursor.c.gateway == name)).scalar_one()
    since = max(min(known, end) - _OVERLAP, end - OLDEST)
    while since < end:
        until = min(since + _WINDOW, end)
        told = gateway.events(since, until)
        while chunk := list(islice(told, _CHUNK)):
            new += _hear(database, name, chunk)
        with database.write() as conn:
            db.upsert(conn, cursor, [{"gateway": name, "until": until}], ["gateway"])
        since = until
    return new


def _hear(database: Database, gateway: str, told: Sequence[Told]) -> int:
    """Each in its own transaction, as a webhook's: they are about different accounts."""
    new = 0
    for one in _unheard(database, gateway, told):
        try:
            with database.write() as conn:
                new += recording.hear(conn, gateway, one)
        except Terminal as error:  # one that cannot be taken in keeps no other away; a person is told
            said = {"event": one.id, "kind": one.kind, "reference": one.reference, "why": str(error)}
            key = f"unheard:{gateway}:{one.id}"
            with database.write() as conn:
                events.emit(conn, "gateway.unheard", gateway, said, actor=recording.ACTOR, unique=key)
    return new


def _unheard(database: Database, gateway: str, told: Sequence[Told]) -> Iterator[Told]:
    names = [f"{gateway}:{one.id}" for one in told]
    with database.read() as conn:
        known = set(conn.execute(sa.select(heard.c.id).where(heard.c.id.in_(names))).scalars())
    return (one for one, name in zip(told, names, strict=True) if name not in known)
