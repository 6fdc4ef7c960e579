"""A mark for invoices of which nothing is open, and indexes of what is undecided: years of the rest stay unread."""

import sqlalchemy as sa
from alembic import op

revision = "billing_0012"
down_revision = "billing_0011"
branch_labels = None
depends_on = None

_STEP = 20_000
_UNSETTLED = "state = 'final' AND kind = 'invoice' AND settled_on IS NULL"


def upgrade() -> None:
    """Add the mark, fill it chunk by chunk in the order of ids, then make its indexes."""
    with op.batch_alter_table("invoice") as table:
        table.add_column(
            sa.Column(
                "settled_on",
                sa.Date,
                comment="the day of the last move that settled it: billing.settling",
            )
        )
    _fill(op.get_bind())
    _where("invoice", "ix_invoice_unsettled", _UNSETTLED, "account_id", "due_on")
    _where("invoice", "ix_invoice_settled_on", "settled_on IS NOT NULL", "settled_on")
    _where("gateway_attempt", "ix_gateway_attempt_undecided", "state IN ('unknown', 'pending')", "id")
    _where("gateway_event", "ix_gateway_event_waiting", "state = 'waiting'", "reference")


def _fill(conn: sa.Connection) -> None:
    """Each chunk reads its own allocations and write-offs only."""
    after = ""
    while True:
        until = conn.execute(_BOUND, {"after": after, "step": _STEP - 1}).scalar()
        conn.execute(_LAST if until is None else _CHUNK, {"after": after, "until": until or ""})
        if until is None:
            return
        after = until


def _where(table: str, name: str, condition: str, *columns: str) -> None:
    told = sa.text(condition)
    op.create_index(name, table, list(columns), postgresql_where=told, sqlite_where=told)


_BOUND = sa.text("SELECT id FROM invoice WHERE id > :after ORDER BY id LIMIT 1 OFFSET :step")
_MARK = """
UPDATE invoice SET settled_on = coalesce((SELECT max(moved.day) FROM (
    SELECT a.allocated_on AS day FROM payment_allocation a WHERE a.invoice_id = invoice.id
    UNION ALL SELECT w.written_on FROM write_off w WHERE w.invoice_id = invoice.id) AS moved), issued_on)
WHERE state = 'final' AND kind = 'invoice' AND id > :after AND {until} AND total
  - coalesce((SELECT sum(a.amount) FROM payment_allocation a WHERE a.invoice_id = invoice.id), 0)
  - coalesce((SELECT sum(w.amount) FROM write_off w WHERE w.invoice_id = invoice.id), 0) = 0
"""
_CHUNK = sa.text(_MARK.format(until="id <= :until"))
_LAST = sa.text(_MARK.format(until="id >= :until"))
