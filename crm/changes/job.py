"""Jobs that need the network repository's files: the agenda on its day, the prepaid run every hour."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from billing.agenda.entries import JOB
from billing.wallet.running import run_prepaid
from core import clock
from core.crypto import DataKey
from core.db import Database
from core.jobs import Job, enqueue, handles
from crm.changes.performing import perform
from intents.reader import Reader

PREPAID = "prepaid.run"


def register(reader: Callable[[], AbstractContextManager[Reader]], key: DataKey | None = None) -> None:
    """Let this process perform them, with a snapshot of the index each; `key` seals logins."""

    @handles(JOB)
    def carry_out(db: Database, job: Job) -> None:
        with reader() as snapshot:
            perform(db, snapshot, job.payload["entry"], key)

    @handles(PREPAID)
    def prepaid(db: Database, _job: Job) -> None:
        with reader() as snapshot:
            run_prepaid(db, snapshot)


def schedule(db: Database) -> None:
    """Queue the prepaid run of this quarter of an hour: each account's midnight is one, wherever it lives."""
    now = clock.now()
    with db.write() as conn:
        enqueue(conn, PREPAID, {}, unique=f"{PREPAID}:{now:%Y%m%d%H}{now.minute // 15}")
