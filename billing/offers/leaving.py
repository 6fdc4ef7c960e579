"""What the end of a service on a day would cost: said to whoever agrees on it, before it is."""

from datetime import date

from sqlalchemy.engine import Connection

from billing import subscriptions
from billing.offers import contracts
from billing.offers.telling import fee_text
from billing.timeline import Event, EventKind


def leaving(conn: Connection, service: str, day: date) -> str:
    """The early-termination fee of a service that ceases on a day, and how it comes about; empty where there is none.

    Raises ServiceNotBilled.
    """
    events = subscriptions.item(conn, service).events
    before = [event for event in events if event.effective <= day]
    end = Event(day, max((event.seq for event in events), default=0) + 1, EventKind.CEASED)
    found = [part for part in contracts.terminations([*before, end], day) if part.part.start == day]
    return f"{found[0].amount}, {fee_text(found[0].terms, day)}" if found else ""
