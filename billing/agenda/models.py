"""The agenda: one row for each thing that was agreed, kept for ever."""

import sqlalchemy as sa

from billing.models import META
from core.db import Json, UtcDateTime

agenda_entry = sa.Table(
    "agenda_entry",
    META,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("service", sa.String(64), nullable=False, index=True),
    sa.Column("account_id", sa.String(64), sa.ForeignKey("account.id"), nullable=False),
    sa.Column(
        "kind", sa.String(16), nullable=False, comment="change | cease | vacation | return | move | transfer"
    ),
    sa.Column("due_on", sa.Date, nullable=False, comment="local date of the account"),
    sa.Column("details", Json, nullable=False),
    sa.Column("state", sa.String(12), nullable=False, comment="scheduled | asked | done | failed | cancelled"),
    sa.Column("set_id", sa.String(64), unique=True, comment="the change set that asked for it"),
    sa.Column("undo", Json, comment="how to take it back in billing when the change set is refused"),
    sa.Column("reason", sa.Text, comment="why it failed"),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
    sa.Index("ix_agenda_entry_due", "due_on", postgresql_where=sa.text("state = 'scheduled'"),
             sqlite_where=sa.text("state = 'scheduled'")),
)  # fmt: skip
