"""Letters to be printed: whatever waits becomes a batch, each letter is in one; a batch is printed as often as wanted.

A batch is taken in one transaction and printed after it: a printer that fails, or a process that dies, loses nothing.
"""

import io
import zipfile
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts
from billing.mailing import sending as mailing
from billing.messages import pages, queueing, sending
from billing.messages.errors import BatchUnknown, FormUnknown
from billing.messages.facts import LETTER, Facts
from billing.messages.models import letter_batch, message
from billing.messages.pages import FORMS, Page
from billing.messages.reminding import WAITING
from billing.papers import parties
from core import clock, db, events, faults, ids
from core.db import Database
from intents.reader import Reader

LATELY = timedelta(days=31)
"""What is older and was never printed is not printed by itself."""
P_BATCH = faults.declare("billing.before_letters_commit")


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of letters. `dropped`: letters that were not taken, and why; `unaddressed`: taken neither."""

    id: str
    made_on: date
    form: str
    count: int
    dropped: tuple[str, ...] = ()
    unaddressed: tuple[str, ...] = ()


def make(
    database: Database,
    hands: mailing.Hands,
    form: str,
    on: date,
    *,
    actor: str,
    since: date | None = None,
    dry: bool = False,
) -> Batch | None:
    """Take what waits into a batch, by account; None: nothing waits. `since`: not what was made before (31 days).

    Who owes nothing any more gets no letter; whose address is not known waits until it is. Raises FormUnknown.
    """
    if form not in FORMS:
        raise FormUnknown(form, ", ".join(FORMS))
    queueing.adopt(database, LETTER, since or on - LATELY)
    with database.write() as conn:
        batch = _take(conn, hands, form, on, since or on - LATELY, actor, dry)
        faults.point(P_BATCH)
    return batch


def printed(database: Database, reader: Reader, hands: mailing.Hands, batch: str) -> bytes:
    """A batch as one PDF, each letter from a new sheet. Raises BatchUnknown, TemplateFailed, PrinterMissing."""
    found, letters = _pages(database, reader, hands, batch)
    return pages.printed(letters, found["form"], batch, found["made_on"])


def zipped(database: Database, reader: Reader, hands: mailing.Hands, batch: str) -> bytes:
    """A batch as a zip of a PDF for each letter, in the batch's order. Raises as `printed`."""
    found, letters = _pages(database, reader, hands, batch)
    made = io.BytesIO()
    day = found["made_on"]
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as into:
        for number, one in enumerate(letters, 1):
            name = zipfile.ZipInfo(f"{number:05}-{one.account}.pdf", (day.year, day.month, day.day, 0, 0, 0))
            into.writestr(name, pages.printed([one], found["form"], one.key, day))
    return made.getvalue()


def batches(conn: Connection, limit: int = 100) -> list[Any]:
    """Batches, the newest first."""
    return list(conn.execute(sa.select(letter_batch).order_by(letter_batch.c.id.desc()).limit(limit)).all())


def of_batch(conn: Connection, batch: str) -> list[dict[str, Any]]:
    """The letters of a batch, in order. Raises BatchUnknown."""
    get(conn, batch)
    query = sa.select(message).where(message.c.batch_id == batch)
    return [dict(row) for row in conn.execute(query.order_by(message.c.account_id, message.c.id)).mappings()]


def get(conn: Connection, batch: str) -> dict[str, Any]:
    """A batch. Raises BatchUnknown."""
    row = conn.execute(sa.select(letter_batch).where(letter_batch.c.id == batch)).mappings().first()
    if row is None:
        raise BatchUnknown(batch)
    return dict(row)


def _take(
    conn: Connection, hands: mailing.Hands, form: str, on: date, since: date, actor: str, dry: bool
) -> Batch | None:
    mine = sa.and_(message.c.channel == LETTER, message.c.state == WAITING, message.c.made_on >= since)
    query = db.lock_row(conn, sa.select(message).where(mine).order_by(message.c.account_id, message.c.id))
    taken, dropped, unaddressed = [], {}, []
    for row in conn.execute(query).mappings().all():
        if why := sending.stale(conn, row, accounts.get(conn, row["account_id"]).today):
            dropped[row["id"]] = f"{row['account_id']}: {why}"
        elif not pages.is_addressed(sending.recipient(conn, hands, row["account_id"])):
            unaddressed.append(row["account_id"])
        else:
            taken.append(row["id"])
    batch = Batch(
        id=ids.new_id("ltr"), made_on=on, form=form, count=len(taken), dropped=tuple(dropped.values()),
        unaddressed=tuple(unaddressed),
    )  # fmt: skip
    if not dry:
        _keep(conn, batch, taken, dropped, actor)
    return batch if taken or dropped or unaddressed else None


def _keep(conn: Connection, batch: Batch, taken: Sequence[str], dropped: dict[str, str], actor: str) -> None:
    moment = clock.now()
    for one, why in dropped.items():
        values = {"state": sending.DROPPED, "reply": why, "changed_at": moment}
        conn.execute(sa.update(message).where(message.c.id == one).values(**values))
    if not taken:
        return
    row = {
        "id": batch.id, "made_on": batch.made_on, "form": batch.form, "count": batch.count, "actor": actor,
        "recorded_at": moment,
    }  # fmt: skip
    conn.execute(sa.insert(letter_batch).values(**row))
    for start in range(0, len(taken), 500):
        chosen = message.c.id.in_(taken[start : start + 500])
        values = {"state": sending.PRINTED, "batch_id": batch.id, "changed_at": moment}
        conn.execute(sa.update(message).where(chosen).values(**values))
    events.emit(conn, "letters.batch", batch.id, {"count": batch.count, "form": batch.form}, actor=actor)


def _pages(
    database: Database, reader: Reader, hands: mailing.Hands, batch: str
) -> tuple[dict[str, Any], list[Page]]:
    from billing.messages import texts

    with database.read() as conn:
        found = get(conn, batch)
        made = []
        for row in of_batch(conn, batch):
            owner = accounts.get(conn, row["account_id"])
            seller = parties.seller_at(conn, reader, owner.legal_entity, found["recorded_at"])
            buyer = parties.contact_at(conn, hands.key, owner.id, found["recorded_at"])
            buyer = buyer or hands.fallback(conn, owner.id)
            facts = msgspec.convert(row["facts"], Facts)
            text = texts.text(reader, row["purpose"], facts, seller, buyer)
            made.append(Page(row["id"], owner.id, seller, buyer, text, found["made_on"]))
    return found, made
