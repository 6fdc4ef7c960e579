"""Which lines are deferred. Documents are taken in by their numbers: a series has no gap and never goes back."""

from datetime import date

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.closing.models import deferral, deferral_mark
from billing.kinds import KINDS
from billing.models import counter, invoice, invoice_line
from core import db

KINDS_OF_DOCUMENTS = ("invoice", "credit-note")
_ACCRUES = {name: kind.ledger for name, kind in KINDS.items() if kind.accrues}
_NAMES = [column.name for column in deferral.c if column.name != "seq"]


def entities(conn: Connection) -> list[str]:
    """Legal entities that have issued something: those with a series of numbers."""
    return sorted({entity for entity, _ in _series(conn)})


def _series(conn: Connection) -> list[tuple[str, str]]:
    """Legal entity and kind of each series of documents."""
    names = conn.execute(sa.select(counter.c.name).where(counter.c.name.like("%:%"))).scalars()
    found = [name.partition(":") for name in names]
    return sorted((entity, kind) for kind, _, entity in found if kind in KINDS_OF_DOCUMENTS)


def take_in(conn: Connection, entity: str) -> int:
    """Take in what an entity has issued since the last time; returns how many documents. Holds its lock from now on."""
    taken = 0
    for kind in KINDS_OF_DOCUMENTS:
        mark = {"legal_entity": entity, "kind": kind, "sequence": 0}
        db.upsert(conn, deferral_mark, [mark], ["legal_entity", "kind"], [])
        mine = sa.and_(deferral_mark.c.legal_entity == entity, deferral_mark.c.kind == kind)
        known = int(
            conn.execute(db.lock_row(conn, sa.select(deferral_mark.c.sequence).where(mine))).scalar_one()
        )
        last = sa.select(sa.func.max(invoice.c.sequence)).where(
            invoice.c.state == "final", invoice.c.legal_entity == entity, invoice.c.kind == kind
        )
        newest = int(conn.execute(last).scalar() or 0)
        if newest > known:
            fresh = _grouped(
                invoice.c.legal_entity == entity, invoice.c.kind == kind, invoice.c.sequence > known,
                invoice.c.sequence <= newest,
            )  # fmt: skip
            conn.execute(sa.insert(deferral).from_select(_NAMES, fresh))
            conn.execute(sa.update(deferral_mark).where(mine).values(sequence=newest))
        taken += newest - known
    return taken


def everything(conn: Connection) -> sa.Subquery:
    """What was taken in, and what was issued since: one row for alike lines, as in `deferral`."""
    known = sa.select(*(deferral.c[name] for name in _NAMES))
    return sa.union_all(known, _grouped(_fresh(conn))).subquery("deferred")


def not_taken_in(conn: Connection, entity: str, by: date) -> int:
    """How many deferred lines of documents issued by a day are not taken in."""
    fresh = _grouped(_fresh(conn), invoice.c.legal_entity == entity, invoice.c.issued_on <= by).subquery()
    return int(conn.execute(sa.select(sa.func.coalesce(sa.func.sum(fresh.c.lines), 0))).scalar_one())


def _fresh(conn: Connection) -> "sa.ColumnElement[bool]":
    """Documents that are not taken in: for each series those after its mark, which an index finds."""
    marks = {(row.legal_entity, row.kind): row.sequence for row in conn.execute(sa.select(deferral_mark))}
    after = [
        sa.and_(
            invoice.c.legal_entity == entity,
            invoice.c.kind == kind,
            invoice.c.sequence > marks.get((entity, kind), 0),
        )
        for entity, kind in _series(conn)
    ]
    return sa.or_(sa.false(), *after)


def waiting(conn: Connection, entity: str, until: date) -> int:
    """How many lines have days before `until` (exclusive) that are not recognised."""
    query = sa.select(sa.func.coalesce(sa.func.sum(deferral.c.lines), 0)).where(
        deferral.c.legal_entity == entity, deferral.c.recognised_until < deferral.c.period_end,
        deferral.c.recognised_until < until,
    )  # fmt: skip
    return int(conn.execute(query).scalar_one())


def _grouped(*which: "sa.ColumnElement[bool]") -> "sa.Select[tuple[object, ...]]":
    """Deferred lines of documents that meet conditions, alike ones together."""
    line = invoice_line.c
    ledger = sa.case(_ACCRUES, value=line.kind)
    odd = sa.or_(line.period_start.is_(None), line.period_start >= line.period_end)
    since = sa.case((odd, invoice.c.issued_on), else_=line.period_start)
    key = (invoice.c.legal_entity, invoice.c.currency, line.kind, invoice.c.issued_on, line.period_start,
           line.period_end, line.net)  # fmt: skip
    return (
        sa.select(
            invoice.c.legal_entity, invoice.c.currency, ledger.label("ledger"), invoice.c.issued_on,
            since.label("period_start"), line.period_end, line.net, sa.func.count().label("lines"),
            invoice.c.issued_on.label("recognised_until"),
        )
        .join(invoice_line, line.invoice_id == invoice.c.id)
        .where(
            invoice.c.state == "final", line.kind.in_(list(_ACCRUES)), line.period_end > invoice.c.issued_on,
            line.net != 0, *which,
        )
        .group_by(*key)
    )  # fmt: skip
