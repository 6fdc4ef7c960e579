"""Finding out what nobody told: whatever is undecided at a gateway is asked for again."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.gateways import givebacks, polling, recording
from billing.gateways.models import UNDECIDED, attempt
from core import jobs

CHARGE = "billing.charge"
"""The job that asks for an attempt's charge, or what became of it."""


def ask_again(conn: Connection) -> None:
    """Queue it for every charge and refund whose fate is not known, and fetch the gateways' events. Again: no more.

    Their jobs may have given up, and no event may have come.
    """
    recording.catch_up(conn)
    givebacks.queue_open(conn)
    polling.queue(conn)
    query = sa.select(attempt.c.id).where(sa.literal_column(UNDECIDED)).order_by(attempt.c.id)
    for attempt_id in conn.execute(query).scalars().all():
        queue(conn, attempt_id)


def queue(conn: Connection, attempt_id: str) -> None:
    """Queue the question about one attempt. Again: no more, while it waits."""
    jobs.enqueue(conn, CHARGE, {"attempt": attempt_id}, unique=f"{CHARGE}:{attempt_id}")
