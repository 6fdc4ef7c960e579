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
_ABROAD = {"1": ("011",), "61": ("0011",)}
_FULL = {"1": "1[2-9][0-9]{9}", "61": "61[0-9]{9,10}"}
_NATIONAL = {"1": "[2-9][0-9]{2}[2-9][0-9]{6}"}
"""Whole numbers that are dialled without a trunk prefix."""
_LONGEST_SERVICE = 6
"""Digits of a service number that begins as calls abroad do, such as 000."""
LOCAL = "n"
"""Comes before a number that is not E.164: no prefix of a deck begins so."""


def abroad(country: str) -> tuple[str, ...]:
    """What comes before another country's number, longest first: 00, and what is surely dialled in this country."""
    return (*_ABROAD.get(country, ()), "00")


def e164(text: str, country: str = "", trunk: str = "0", international: Sequence[str] = ()) -> str:
    """`+61 8 5550 1234`, `0061855501234`, `0855501234` (country 61) as `61855501234`. Raises NumberNotUsable.

    `international`: the prefixes in place of `abroad`.
    """
    plain = _SEPARATORS.sub("", text)
    prefix = _prefix(plain, international or abroad(country))
    if plain.startswith("+"):
        digits = plain[1:]
    elif prefix:
        digits = plain[len(prefix) :]
    elif country and trunk and plain.startswith(trunk):
        digits = country + plain[len(trunk) :]
    else:
        digits = plain
    if not re.fullmatch(r"[1-9][0-9]{1,14}", digits):
        raise NumberNotUsable(text[:40])
    return digits


def dialled(text: str, country: str = "", international: Sequence[str] = ()) -> str:
    """As E.164; in a country, `n131126` for what is dialled only there: a service, or a local number of some area.

    Digits alone are E.164 where no country is known. Raises NumberNotUsable.
    """
    plain = _SEPARATORS.sub("", text)
    if not country or not re.fullmatch(r"[0-9]{1,14}", plain) or re.fullmatch(_full(country), plain):
        return e164(text, country, international=international)
    if re.fullmatch(_NATIONAL.get(country, "-"), plain):
        return country + plain
    going_abroad = bool(_prefix(plain, international or abroad(country)))
    if len(plain) > _LONGEST_SERVICE if going_abroad else _is_national(plain, country):
        return e164(text, country, international=international)
    return LOCAL + plain


def _prefix(plain: str, prefixes: Sequence[str]) -> str:
    return next((one for one in sorted(prefixes, key=len, reverse=True) if plain.startswith(one)), "")


def _is_national(plain: str, country: str) -> bool:
    """Whether it is a trunk prefix and a number that the country may have."""
    whole = _FULL.get(country, "[0-9]{1,15}")
    return bool(re.fullmatch("0[1-9][0-9]+", plain) and re.fullmatch(whole, country + plain[1:]))


def _full(country: str) -> str:
    """Numbers of the country with its code, though without plus; where we know no better: ten digits and more."""
    return _FULL.get(country, rf"{country}[0-9]{{{10 - len(country)},}}")


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
