"""Reminders are written, notices of dunning taken over, and a job queued for each message whose channel is set up."""

from datetime import date

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.collecting.models import dunning_notice
from billing.messages import reminding
from billing.messages.facts import E_MAIL, NOTICE, SMS, Facts
from billing.messages.models import message
from billing.messages.reminding import WAITING
from core import clock, db, ids, jobs
from core.db import Database
from intents.config.schema import Config
from intents.reader import Reader

SEND, SWEEP = "billing.message", "billing.message-sweep"
QUEUED = "queued"
_STEP = 500


def follow(database: Database, reader: Reader, on: date | None = None) -> dict[str, int]:
    """A dunning run is over: write reminders and announcements, and have everything sent that can be."""
    made = reminding.remind(database, on)
    if since_of(reader):
        with database.write() as conn:
            jobs.enqueue(conn, SWEEP, {}, unique=SWEEP)
    return made


def since_of(reader: Reader) -> dict[str, date]:
    """The channels that are set up, and from which day on their messages are sent."""
    config = reader.get("config", "trunkline")
    if not isinstance(config, Config):
        return {}
    found = {}
    if config.mail is not None:
        found[E_MAIL] = date.fromisoformat(config.mail.since)
    if config.sms is not None:
        found[SMS] = date.fromisoformat(config.sms.since)
    return found


def sweep(database: Database, since: dict[str, date]) -> int:
    """Take over notices of these channels, and queue a job for each message that waits; returns how many."""
    total = 0
    for channel, first in sorted(since.items()):
        adopt(database, channel, first)
        while True:
            with database.write() as conn:
                made = _queue(conn, channel, first)
            total += made
            if made < _STEP:
                break
    return total


def adopt(database: Database, channel: str, since: date) -> int:
    """Make a message of each notice of a channel that has none, in steps; returns how many."""
    total = 0
    while True:
        with database.write() as conn:
            made = _adopt(conn, channel, since)
        total += made
        if made < _STEP:
            return total


def _adopt(conn: Connection, channel: str, since: date) -> int:
    table = dunning_notice.c
    key = "notice:" + sa.cast(table.seq, sa.String)
    known = sa.select(message.c.id).where(message.c.source == key, message.c.channel == channel)
    query = sa.select(dunning_notice).where(table.channel == channel, table.made_on >= since, ~known.exists())
    rows = conn.execute(query.order_by(table.seq).limit(_STEP)).all()
    moment = clock.now()
    new = [
        {
            "id": ids.new_id("msg"), "account_id": row.account_id, "channel": channel, "purpose": NOTICE,
            "source": f"notice:{row.seq}", "made_on": row.made_on, "state": WAITING, "attempts": 0, "reply": "",
            "made_at": moment, "changed_at": moment, "facts": msgspec.to_builtins(
                Facts(amount=row.amount, currency=row.currency, invoices=tuple(row.invoices), due=row.debt_due,
                      name=row.name)
            ),
        }
        for row in rows
    ]  # fmt: skip
    db.upsert(conn, message, new, ["source", "channel"], [])
    return len(rows)


def _queue(conn: Connection, channel: str, since: date) -> int:
    mine = sa.and_(message.c.channel == channel, message.c.state == WAITING, message.c.made_on >= since)
    query = db.lock_row(conn, sa.select(message.c.id).where(mine).order_by(message.c.id).limit(_STEP))
    found = list(conn.execute(query).scalars())
    changed = {"state": QUEUED, "changed_at": clock.now()}
    conn.execute(sa.update(message).where(message.c.id.in_(found)).values(**changed))
    for one in found:
        jobs.enqueue(conn, SEND, {"message": one}, unique=f"{SEND}:{one}:0")
    return len(found)
