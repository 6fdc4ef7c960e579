"""Undoing a run. Nothing is deleted: a person's commit lifts holds, invoices get credit notes, drafts are voided.

Whoever undoes a dunning run does what `git revert` of its commit does: the holds are lifted as by somebody else, and
those debts held again only after a newer due date or `trunkline billing resume` (pin 5). What a bill run
billed stays billed: the next run does not bill those days again, unless it is undone with `rebill` (`rebilling`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, crediting, holds, invoices, overrides, rebilling
from billing.errors import DraftBuiltOn, NotCreditable, RunUnknown
from billing.models import bill_run, dunning_run, invoice, nonpayment_hold
from core import events, faults
from core.db import Database
from intents import queue
from intents.models import change_set
from intents.states import State

P_UNDONE = faults.declare("billing.after_undone")


class Undone(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, or with `dry` would be. `taken_back`: charges and billables that the next run bills anew;
    `left`: what cannot be undone, and why.
    """

    run: str
    freed: tuple[str, ...] = ()
    set_id: str | None = None
    voided: int = 0
    credited: int = 0
    taken_back: int = 0
    left: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()


def undo(database: Database, run: str, *, actor: str, dry: bool = False, rebill: bool = False) -> Undone:
    """Undo a dunning run or a bill run; again it does what is left to do. Raises RunUnknown.

    `rebill`: what a bill run charged is taken back with its credit notes, and the next run bills it anew.
    """
    with database.read() as conn:
        is_dunning = conn.execute(sa.select(dunning_run.c.id).where(dunning_run.c.id == run)).first()
        is_billing = conn.execute(sa.select(bill_run.c.id).where(bill_run.c.id == run)).first()
        documents = _documents(conn, run) if is_billing else []
        foreign = is_billing and _foreign_drafts(conn, run)
    if is_dunning:
        return _undo_dunning(database, run, actor, dry)
    if not is_billing:
        raise RunUnknown(run)
    return _undo_billing(database, run, documents, bool(foreign), _Way(actor, dry, rebill))


class _Way(msgspec.Struct, frozen=True):
    """How a bill run is undone."""

    actor: str
    dry: bool
    rebill: bool


def _undo_dunning(database: Database, run: str, actor: str, dry: bool) -> Undone:
    with database.read() as conn:
        services = _held_by(conn, run)
    if dry:
        return Undone(run=run, freed=services)
    with database.write() as conn:
        whose = sa.select(nonpayment_hold.c.account_id).where(nonpayment_hold.c.run_id == run).distinct()
        accounts.by_ids(conn, list(conn.execute(whose).scalars()))  # locked
        correlation = f"undo:{run}"
        lost = (State.REJECTED.value, State.CONFLICTED.value)  # then it is done anew
        query = sa.select(change_set.c.set_id).where(
            change_set.c.correlation == correlation, change_set.c.state.not_in(lost)
        )
        set_id = conn.execute(query).scalar()
        services = _held_by(conn, run)
        if set_id is None and services:
            set_id = queue.submit(
                conn, actor=actor, actor_kind="staff", reason="undo", correlation=correlation, urgent=True,
                changes=holds.release_changes(conn, services),
            )  # fmt: skip
            _override(conn, services, set_id, actor)
        # Also where nobody is held: notices of the run may still wait.
        said = {"services": list(services), "set": set_id}
        events.emit(conn, "dunning.undone", run, said, actor=actor, unique=f"undone:{run}")
    return Undone(run=run, freed=services, set_id=set_id)


def _override(conn: Connection, services: Sequence[str], set_id: str, actor: str) -> None:
    """Written down at once: of a hold that never came to trunk, trunk will never say that it went."""
    rows = conn.execute(sa.select(nonpayment_hold).where(nonpayment_hold.c.service.in_(services))).all()
    for row in rows:
        overrides.record(conn, row.account_id, row.service, row.debt_through, actor=actor, commit="")
    holds.own(conn, set_id, "release", f"undo by {actor}")
    holds.forget(conn, services, set_id)


def _held_by(conn: Connection, run: str) -> tuple[str, ...]:
    """Services that the run's own holds still restrict."""
    query = sa.select(nonpayment_hold.c.service).where(
        nonpayment_hold.c.run_id == run, nonpayment_hold.c.held
    )
    return tuple(conn.execute(query.order_by(nonpayment_hold.c.service)).scalars())


def _undo_billing(
    database: Database, run: str, documents: Sequence[tuple[str, str]], foreign: bool, way: _Way
) -> Undone:
    voided = credited = taken = 0
    left: list[str] = []
    for account, document in documents:
        with database.read() if way.dry else database.write() as conn:
            try:
                what, back, odd = _take_back(conn, account, document, run, way)
            except (NotCreditable, DraftBuiltOn) as error:
                left.append(str(error))
                continue
        voided, credited, taken = voided + (what == "voided"), credited + (what == "credited"), taken + back
        left += [odd] if odd else []
        faults.point(P_UNDONE)
    numbers = () if way.dry or foreign else tuple(invoices.finalise(database))
    if foreign and credited:
        left.append("other drafts wait for a person: the credit notes get their numbers with them")
    return Undone(
        run=run, voided=voided, credited=credited, taken_back=taken, left=tuple(left), numbers=numbers
    )


def _take_back(conn: Connection, account: str, document: str, run: str, way: _Way) -> tuple[str, int, str]:
    """Void a draft, credit what is final; nothing for what is undone already. Raises NotCreditable, DraftBuiltOn.

    What was done, how much is to be billed anew, and what a person should know of it.
    """
    if not way.dry:
        accounts.lock(conn, account)
    row = invoices.get(conn, document)
    if row["state"] == "draft" and not way.dry:
        invoices.void(conn, document)
    if row["state"] != "final":
        return ("voided" if row["state"] == "draft" else ""), 0, ""
    key = f"undo:{run}:{row['id']}"
    note = crediting.earlier(conn, account, key)
    what, odd = ("", "") if note else ("credited", rebilling.credited_before(conn, row) if way.rebill else "")
    parts = rebilling.standing(conn, row["id"])
    if note is None and parts == {}:
        return "", 0, ""
    if note is None:
        note = _note(conn, row, parts, key, way)
    if not way.rebill:
        return what, 0, odd
    return what, rebilling.take_back(conn, row, note, way.actor), odd


def _note(
    conn: Connection, row: Mapping[str, Any], parts: rebilling.Parts | None, key: str, way: _Way
) -> str | None:
    """Draft what takes a final document back; None for a dry run, which only looks. Raises NotCreditable."""
    if way.rebill and rebilling.is_opposed(conn, row, parts):
        drawn = rebilling.opposite(conn, row, parts)
        return None if way.dry else crediting.keep(conn, row, drawn, actor=way.actor, reason="undo", key=key)
    if way.dry:
        crediting.preview(conn, row["id"], parts)
        return None
    return crediting.credit(conn, row["id"], parts, actor=way.actor, reason="undo", key=key)


def _documents(conn: Connection, run: str) -> list[tuple[str, str]]:
    query = sa.select(invoice.c.account_id, invoice.c.id).where(invoice.c.run_id == run)
    return [(row[0], row[1]) for row in conn.execute(query.order_by(invoice.c.account_id, invoice.c.id))]


def _foreign_drafts(conn: Connection, run: str) -> bool:
    """Whether drafts wait that are not the run's: giving numbers would take them along."""
    query = sa.select(invoice.c.id).where(
        invoice.c.state == "draft", invoice.c.run_id != run, ~invoice.c.run_id.like("credit:%")
    )
    return conn.execute(query.limit(1)).first() is not None
