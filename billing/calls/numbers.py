"""Telephone numbers as E.164 digits without the plus (ITU-T E.164: at most 15), and whose they are."""

import re
from collections.abc import Sequence
from datetime import date, datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, subscriptions
from billing.calls.errors import NumberNotUsable, NumberTaken
from billing.calls.models import call_record, voice_number
from billing.models import account, subscription
from billing.periods import local_date

_SEPARATORS = re.compile(r"[\s().\-/]")


def e164(text: str, country: str = "", trunk: str = "0") -> str:
    """`+61 8 5550 1234`, `0061855501234`, `0855501234` (country 61) as `61855501234`. Raises NumberNotUsable."""
    plain = _SEPARATORS.sub("", text)
    if plain.startswith("+"):
        digits = plain[1:]
    elif plain.startswith("00"):
        digits = plain[2:]
    elif country and trunk and plain.startswith(trunk):
        digits = country + plain[len(trunk) :]
    else:
        digits = plain
    if not re.fullmatch(r"[1-9][0-9]{1,14}", digits):
        raise NumberNotUsable(text[:40])
    return digits


def assign(conn: Connection, service: str, number: str, since: date, actor: str) -> int:
    """A number is a service's from a day on; returns how many waiting calls of its days became its. Raises NumberTaken.

    Saying again what is so already, also of a number that it had until a day, gives it no other days.
    """
    subscriptions.item(conn, service)
    overlap = sa.or_(voice_number.c.until.is_(None), voice_number.c.until > since)
    query = sa.select(voice_number).where(voice_number.c.number == number, overlap)
    rows = conn.execute(query.order_by(voice_number.c.since)).all()
    if rows and rows[0].service == service:
        return _adopt(conn, number, service, max(since, rows[0].since), rows[0].until)
    if rows:
        raise NumberTaken(number, rows[0].service)
    values = {"number": number, "since": since, "service": service, "actor": actor}
    conn.execute(sa.insert(voice_number).values(**values))
    return _adopt(conn, number, service, since, None)


def end(conn: Connection, number: str, on: date) -> None:
    """A number is nobody's from a day on. Raises NumberNotUsable for one that nobody has."""
    chosen = sa.and_(voice_number.c.number == number, voice_number.c.until.is_(None))
    if not conn.execute(sa.update(voice_number).where(chosen).values(until=on)).rowcount:
        raise NumberNotUsable(number)


class Span(msgspec.Struct, frozen=True):
    """Days `[since, until)` where the service's account lives, on which it had a number."""

    since: date
    until: date | None
    service: str
    timezone: str


def owners(conn: Connection) -> dict[str, list[Span]]:
    """Who had each number when, in order."""
    query = sa.select(voice_number, account.c.timezone)
    query = query.join(subscription, subscription.c.service == voice_number.c.service)
    query = query.join(account, account.c.id == subscription.c.account_id)
    found: dict[str, list[Span]] = {}
    for row in conn.execute(query.order_by(voice_number.c.number, voice_number.c.since)):
        found.setdefault(row.number, []).append(Span(row.since, row.until, row.service, row.timezone))
    return found


def owner_at(spans: Sequence[Span], moment: datetime) -> str | None:
    """Whose it was at a moment."""
    for one in spans:
        day = local_date(moment, one.timezone)
        if one.since <= day and (one.until is None or day < one.until):
            return one.service
    return None


def _adopt(conn: Connection, number: str, service: str, since: date, until: date | None) -> int:
    """Calls that nobody had become the service's, of its days `[since, until)`, where its account lives."""
    zone = accounts.get(conn, subscriptions.item(conn, service).account).timezone
    waiting = sa.select(call_record.c.id, call_record.c.started_at)
    waiting = waiting.where(call_record.c.caller == number, call_record.c.service.is_(None))
    days = [(row.id, local_date(row.started_at, zone)) for row in conn.execute(waiting)]
    mine = [name for name, day in days if since <= day and (until is None or day < until)]
    for start in range(0, len(mine), 500):
        some = call_record.c.id.in_(mine[start : start + 500])
        conn.execute(sa.update(call_record).where(some).values(service=service))
    return len(mine)
