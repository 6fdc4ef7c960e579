"""Which documents are to be sent, and the jobs that send them: once each, again later where the server says so.

Between the server's word and ours in the database the process may die: then the same message goes once more, with the
same Message-ID.
"""

import hashlib
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, invoices
from billing.mailing import letters, smtp
from billing.mailing.errors import MailNotSetUp, MailUnknown, NotNow, Refused
from billing.mailing.models import mail, mail_bounce
from billing.mailing.smtp import Server
from billing.models import invoice
from billing.papers import making, parties
from billing.papers.making import Fallback
from core import clock, db, events, faults, ids, jobs
from core.crypto import DataKey
from core.db import Database
from core.jobs import Job
from intents.config.schema import Config, Mail
from intents.reader import Reader

SEND, SWEEP = "billing.mail", "billing.mail-sweep"
DOCUMENT = "document"
QUEUED, SENT, FAILED, BOUNCED, NONE = "queued", "sent", "failed", "bounced", "none"
_STEP = 500
_PAUSES = (1, 5, 15, 60, 180, 360, 720, 1440, 1440, 1440)
"""Minutes until the next try, after the first, the second, …: five days in all, as mail servers do it."""
P_ACCEPTED = faults.declare("billing.mail_accepted")


class Hands(msgspec.Struct, frozen=True):
    """What sending needs: whom, with which key, through which server."""

    key: DataKey | None
    fallback: Fallback
    server: Callable[[Mail], Server]


def setting(reader: Reader) -> Mail | None:
    """The mail server of trunkline.yaml."""
    config = reader.get("config", "trunkline")
    return config.mail if isinstance(config, Config) else None


def want(conn: Connection, reader: Reader) -> None:
    """A run is over: have its documents sent, in the caller's transaction."""
    if setting(reader) is not None:
        jobs.enqueue(conn, SWEEP, {}, unique=SWEEP)


def sweep(database: Database, found: Mail) -> int:
    """Queue a message for each final document that has none, in steps; returns how many."""
    total = 0
    while True:
        with database.write() as conn:
            made = _some(conn, found)
        total += made
        if made < _STEP:
            return total


def _some(conn: Connection, found: Mail) -> int:
    since = date.fromisoformat(found.since)
    known = sa.select(mail.c.invoice_id).where(mail.c.invoice_id == invoice.c.id, mail.c.purpose == DOCUMENT)
    query = sa.select(invoice.c.id, invoice.c.account_id).where(
        invoice.c.state == "final", invoice.c.issued_on >= since, ~known.exists()
    )
    rows = conn.execute(query.order_by(invoice.c.id).limit(_STEP)).all()
    now = clock.now()
    new = [
        {
            "id": ids.new_id("mail"), "account_id": row.account_id, "invoice_id": row.id, "purpose": DOCUMENT,
            "state": QUEUED, "attempts": 0, "reply": "", "made_at": now, "changed_at": now,
            "message_id": letters.message_id(row.id, DOCUMENT, found.sender),
        }
        for row in rows
    ]  # fmt: skip
    db.upsert(conn, mail, new, ["invoice_id", "purpose"], [])
    for one in new:
        jobs.enqueue(conn, SEND, {"invoice": one["invoice_id"]}, unique=f"{SEND}:{one['invoice_id']}:0")
    return len(rows)


def deliver(database: Database, reader: Reader, hands: Hands, invoice_id: str) -> str:
    """Try to send a document's message; returns its state then. Raises MailNotSetUp, MailUnknown; and as papers do."""
    found = setting(reader)
    if found is None:
        raise MailNotSetUp
    with database.read() as conn:
        row = _get(conn, invoice_id)
        document = invoices.get(conn, invoice_id)
        paper = making.paper_of(conn, reader, hands.key, document, hands.fallback)
        address = _current(conn, hands, row["account_id"])
        bounced = bounce_of(conn, row["account_id"], address)
    if row["state"] != QUEUED:
        return str(row["state"])
    if not address:
        return _note(database, row, NONE, "the account has no e-mail address")
    if bounced:
        return _note(database, row, BOUNCED, bounced)
    papers = making.papers(database, reader, hands.key, invoice_id, hands.fallback)
    try:
        message = letters.letter(
            paper, papers.pdf, papers.xml, sender=found.sender, recipient=address, identifier=row["message_id"],
            moment=row["made_at"],
        )  # fmt: skip
    except (ValueError, IndexError):
        return _note(database, row, FAILED, "the e-mail address or the sender is none")
    try:
        reply = smtp.send(hands.server(found), message, found.sender, address)
    except NotNow as error:
        return _later(database, row, error.reply)
    except Refused as error:
        if error.recipient:
            return _note(database, row, BOUNCED, error.reply, address)
        return _note(database, row, FAILED, error.reply)
    faults.point(P_ACCEPTED)
    return _note(database, row, SENT, reply)


def resend(conn: Connection, reference: str, *, actor: str) -> str:
    """Send a document's message again, by its id or the document's number, bounced or not. Raises MailUnknown."""
    query = sa.select(mail).join(invoice, invoice.c.id == mail.c.invoice_id)
    query = query.where(sa.or_(mail.c.id == reference, invoice.c.number == reference))
    row = conn.execute(query).mappings().first()
    if row is None:
        raise MailUnknown(reference)
    accounts.lock(conn, row["account_id"])
    conn.execute(sa.delete(mail_bounce).where(mail_bounce.c.account_id == row["account_id"]))
    values: dict[str, Any] = {"state": QUEUED, "attempts": 0, "reply": "", "changed_at": clock.now()}
    conn.execute(sa.update(mail).where(mail.c.id == row["id"]).values(**values))
    jobs.enqueue(conn, SEND, {"invoice": row["invoice_id"]}, unique=f"{SEND}:{row['invoice_id']}:0")
    events.emit(conn, "mail.resent", row["account_id"], {"mail": row["id"]}, actor=actor)
    return str(row["id"])


def log(
    conn: Connection, state: str | None = None, account: str | None = None, limit: int = 100
) -> list[Any]:
    """The delivery log, the newest first: rows of `billing_mail` with the document's number."""
    query = sa.select(mail, invoice.c.number).join(invoice, invoice.c.id == mail.c.invoice_id)
    if state is not None:
        query = query.where(mail.c.state == state)
    if account is not None:
        query = query.where(mail.c.account_id == account)
    return list(conn.execute(query.order_by(mail.c.changed_at.desc(), mail.c.id).limit(limit)).all())


def perform(database: Database, job: Job, reader: Reader, hands: Hands) -> None:
    """The jobs of both kinds."""
    if job.kind == SEND:
        deliver(database, reader, hands, job.payload["invoice"])
    elif (found := setting(reader)) is not None:
        sweep(database, found)


def _get(conn: Connection, invoice_id: str) -> dict[str, Any]:
    row = conn.execute(sa.select(mail).where(mail.c.invoice_id == invoice_id)).mappings().first()
    if row is None:
        raise MailUnknown(invoice_id)
    return dict(row)


def _current(conn: Connection, hands: Hands, account: str) -> str:
    """Where the account's mail goes today: a document keeps its face, not its mailbox."""
    found = parties.contact_at(conn, hands.key, account, clock.now()) or hands.fallback(conn, account)
    return found.email.strip()


def _digest(account: str, address: str) -> str:
    return hashlib.sha256(f"{account}:{address.lower()}".encode()).hexdigest()


def bounce_of(conn: Connection, account: str, address: str) -> str:
    """What a server said when it refused an account's address for good; empty: it did not."""
    query = sa.select(mail_bounce.c.reply).where(
        mail_bounce.c.account_id == account, mail_bounce.c.digest == _digest(account, address)
    )
    return str(conn.execute(query).scalar() or "")


def note_bounce(conn: Connection, account: str, address: str, reply: str) -> None:
    """A server refused an account's address for good: it is not tried again until a person says so."""
    one = {
        "account_id": account,
        "digest": _digest(account, address),
        "reply": reply,
        "noted_at": clock.now(),
    }
    db.upsert(conn, mail_bounce, [one], ["account_id", "digest"])


def _later(database: Database, row: dict[str, Any], reply: str) -> str:
    attempts = row["attempts"] + 1
    if attempts > len(_PAUSES):
        return _note(database, row, FAILED, f"given up after {attempts} tries: {reply}")
    moment: datetime = clock.now()
    with database.write() as conn:
        values = {"attempts": attempts, "reply": reply, "changed_at": moment}
        conn.execute(sa.update(mail).where(mail.c.id == row["id"]).values(**values))
        jobs.enqueue(
            conn, SEND, {"invoice": row["invoice_id"]}, unique=f"{SEND}:{row['invoice_id']}:{attempts}",
            run_at=moment + timedelta(minutes=_PAUSES[attempts - 1]),
        )  # fmt: skip
    return QUEUED


def _note(database: Database, row: dict[str, Any], state: str, reply: str, bounced: str = "") -> str:
    moment = clock.now()
    with database.write() as conn:
        values = {"state": state, "reply": reply, "changed_at": moment, "attempts": row["attempts"] + 1}
        conn.execute(sa.update(mail).where(mail.c.id == row["id"]).values(**values))
        if bounced:
            note_bounce(conn, row["account_id"], bounced, reply)
        told = {"mail": row["id"], "invoice": row["invoice_id"], "reply": reply}
        events.emit(conn, f"mail.{state}", row["account_id"], told, actor="billing")
    return state
