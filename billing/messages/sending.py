"""A message is handed in by a job of its own, and what the other side says is kept.

Between the other side's word and ours in the database the process may die: then the same message goes once more, with
the same key. What is not owed any more, whose day has passed, or whose run was undone, is dropped.
"""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, debts
from billing.collecting.models import dunning_notice
from billing.mailing import sending as mailing
from billing.mailing import smtp
from billing.mailing.errors import NotNow, Refused
from billing.messages import mails, queueing, sms, texts
from billing.messages.errors import MessageNotResent, MessageUnknown
from billing.messages.facts import E_MAIL, LETTER, NOTICE, REMINDER, Facts
from billing.messages.models import message
from billing.messages.queueing import QUEUED, SEND
from billing.messages.reminding import WAITING
from billing.messages.sms import Gateway
from billing.models import invoice
from billing.papers import parties
from billing.papers.parties import Party, Seller
from core import clock, events, faults, jobs
from core.db import Database
from core.jobs import Job
from core.models import event
from intents.config.schema import Config, Mail, Sms
from intents.reader import Reader

SENT, FAILED, BOUNCED, NONE = "sent", "failed", "bounced", "none"
DROPPED, PRINTED = "dropped", "printed"
STATES = (WAITING, SENT, FAILED, BOUNCED, NONE, DROPPED, PRINTED)
_PAUSES = (1, 5, 15, 60, 180, 360, 720, 1440)
"""Minutes until the next try."""
P_ACCEPTED = faults.declare("billing.message_accepted")


class _NoAddress(Exception):
    """There is nowhere to send it."""


class Hands(msgspec.Struct, frozen=True):
    """What sending needs: whom and through which mail server; and the gateway of text messages."""

    mail: mailing.Hands
    gateway: Callable[[Sms], Gateway]


def perform(database: Database, job: Job, reader: Reader, hands: Hands) -> None:
    """The jobs of both kinds."""
    if job.kind == SEND:
        deliver(database, reader, hands, job.payload["message"])
    else:
        queueing.sweep(database, queueing.since_of(reader))


def deliver(database: Database, reader: Reader, hands: Hands, message_id: str) -> str:
    """Try to send a message; returns its state then. Raises MessageUnknown, TemplateFailed, SmsNotUsable."""
    config = reader.get("config", "trunkline")
    with database.read() as conn:
        row = get(conn, message_id)
        facts = msgspec.convert(row["facts"], Facts)
        owner = accounts.get(conn, row["account_id"])
        seller = parties.seller_at(conn, reader, owner.legal_entity, clock.now())
        buyer = recipient(conn, hands.mail, row["account_id"])
        gone = stale(conn, row, owner.today)
        bounced = mailing.bounce_of(conn, row["account_id"], buyer.email.strip())
    if row["state"] != QUEUED:
        return str(row["state"])
    if gone:
        return _note(database, row, DROPPED, gone)
    said = texts.text(reader, row["purpose"], facts, seller, buyer)
    found = (config.mail if row["channel"] == E_MAIL else config.sms) if isinstance(config, Config) else None
    if found is None:
        return _note(database, row, WAITING, f"{row['channel']} is not set up any more")
    if why := "" if isinstance(found, Sms) else bounced:
        return _note(database, row, BOUNCED, why)
    try:
        reply = _handed_in(hands, found, row, said, seller, buyer)
    except _NoAddress as error:
        return _note(database, row, NONE, str(error))
    except (ValueError, IndexError):
        return _note(database, row, FAILED, "the e-mail address or the sender is none")
    except NotNow as error:
        return _later(database, row, error.reply)
    except Refused as error:
        state = BOUNCED if error.recipient else FAILED
        if error.recipient and row["channel"] == E_MAIL:
            with database.write() as conn:
                mailing.note_bounce(conn, row["account_id"], buyer.email.strip(), error.reply)
        return _note(database, row, state, error.reply)
    faults.point(P_ACCEPTED)
    return _note(database, row, SENT, reply)


def _handed_in(
    hands: Hands, found: Mail | Sms, row: dict[str, Any], said: texts.Text, seller: Seller, buyer: Party
) -> str:
    """What the other side says. Raises _NoAddress, NotNow, Refused; ValueError, IndexError for an odd address."""
    if isinstance(found, Sms):
        gateway = hands.gateway(found)
        number = sms.number_of(gateway, buyer.phone)
        if not number:
            raise _NoAddress("the account has no telephone number with a country")
        return sms.send(gateway, row["id"], number, said.short)
    address = buyer.email.strip()
    if not address:
        raise _NoAddress("the account has no e-mail address")
    made = mails.mail(
        said, seller, sender=found.sender, recipient=address, key=row["id"], moment=row["made_at"]
    )
    return smtp.send(hands.mail.server(found), made, found.sender, address)


def recipient(conn: Connection, hands: mailing.Hands, account: str) -> Party:
    """Whom an account's messages go to today."""
    return parties.contact_at(conn, hands.key, account, clock.now()) or hands.fallback(conn, account)


def stale(conn: Connection, row: Any, today: date) -> str:
    """Why a message is not to be sent any more; empty: it is."""
    facts = msgspec.convert(row["facts"], Facts)
    if row["purpose"] == REMINDER and today >= facts.due:
        return f"{facts.due} has come before it was sent"
    if facts.day is not None and today > facts.day:
        return f"{facts.day} has passed before it was sent"
    if row["purpose"] == NOTICE and _is_undone(conn, row["source"]):
        return "its dunning run was undone"
    query = sa.select(invoice.c.id).where(debts.OPEN, invoice.c.number.in_(facts.invoices)).limit(1)
    return "" if conn.execute(query).first() else "nothing of it is owed any more"


def _is_undone(conn: Connection, source: str) -> bool:
    """Whether somebody took back the run that made a notice."""
    made = sa.select(dunning_notice.c.run_id).where(dunning_notice.c.seq == int(source.partition(":")[2]))
    run = conn.execute(made).scalar()
    query = sa.select(event.c.seq).where(event.c.subject == run, event.c.type == "dunning.undone")
    return run is not None and conn.execute(query.limit(1)).first() is not None


def resend(conn: Connection, reference: str, *, actor: str) -> None:
    """Send a message again. Raises MessageUnknown, MessageNotResent."""
    row = get(conn, reference)
    accounts.lock(conn, row["account_id"])
    if row["channel"] == LETTER:
        raise MessageNotResent(
            reference, f"it is a letter; 'letters fetch {row['batch_id'] or '…'}' prints it"
        )
    values: dict[str, Any] = {"state": QUEUED, "attempts": 0, "reply": "", "changed_at": clock.now()}
    conn.execute(sa.update(message).where(message.c.id == reference).values(**values))
    jobs.enqueue(conn, SEND, {"message": reference}, unique=f"{SEND}:{reference}:0")
    events.emit(conn, "message.resent", row["account_id"], {"message": reference}, actor=actor)


def get(conn: Connection, reference: str) -> dict[str, Any]:
    """A message's row. Raises MessageUnknown."""
    row = conn.execute(sa.select(message).where(message.c.id == reference)).mappings().first()
    if row is None:
        raise MessageUnknown(reference)
    return dict(row)


def log(
    conn: Connection, state: str | None = None, account: str | None = None, channel: str | None = None,
    limit: int = 100,
) -> list[Any]:  # fmt: skip
    """The delivery log, the newest first."""
    query = sa.select(message)
    for column, wanted in (("state", state), ("account_id", account), ("channel", channel)):
        if wanted is not None:
            query = query.where(message.c[column] == wanted)
    return list(conn.execute(query.order_by(message.c.changed_at.desc(), message.c.id).limit(limit)).all())


def _later(database: Database, row: dict[str, Any], reply: str) -> str:
    attempts = row["attempts"] + 1
    if attempts > len(_PAUSES):
        return _note(database, row, FAILED, f"given up after {attempts} tries: {reply}")
    moment = clock.now()
    with database.write() as conn:
        values = {"attempts": attempts, "reply": reply, "changed_at": moment}
        conn.execute(sa.update(message).where(message.c.id == row["id"]).values(**values))
        jobs.enqueue(
            conn, SEND, {"message": row["id"]}, unique=f"{SEND}:{row['id']}:{attempts}",
            run_at=moment + timedelta(minutes=_PAUSES[attempts - 1]),
        )  # fmt: skip
    return QUEUED


def _note(database: Database, row: dict[str, Any], state: str, reply: str) -> str:
    with database.write() as conn:
        values = {"state": state, "reply": reply, "changed_at": clock.now(), "attempts": row["attempts"] + 1}
        conn.execute(sa.update(message).where(message.c.id == row["id"]).values(**values))
        told = {"message": row["id"], "channel": row["channel"], "reply": reply}
        events.emit(conn, f"message.{state}", row["account_id"], told, actor="billing")
    return state
