"""What core registers: the delivery of events."""

from core import events, jobs
from core.db import Database


@jobs.handles(events.DELIVERY)
def deliver_event(db: Database, job: jobs.Job) -> None:
    """Perform one delivery."""
    events.deliver(db, job.payload)
