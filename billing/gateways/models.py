"""Tables of gateways. Facts are only ever added; a state is folded from them."""

from typing import Any

import sqlalchemy as sa

from billing.models import META
from core.db import Json, Sequenced, UtcDateTime

UNDECIDED = "gateway_attempt.state IN ('unknown', 'pending')"
"""Attempts whose fate is not known; written out, so that both databases see that an index has just these."""
FAILURES = "gateway_attempt.code <> ''"
"""Attempts that failed, came back or were dropped: all that have a reason."""
WAITING = "gateway_event.state = 'waiting'"


def _where(name: str, condition: str, column: str) -> sa.Index:
    told = sa.text(condition.partition(".")[2])
    return sa.Index(name, column, postgresql_where=told, sqlite_where=told)


def _terms() -> list[sa.Column[Any]]:
    return [
        sa.Column("account_id", sa.String(64), sa.ForeignKey("account.id"), primary_key=True),
        sa.Column("gateway", sa.String(32), nullable=False),
        sa.Column("customer", sa.String(120), nullable=False, comment="what the gateway calls the customer"),
        sa.Column(
            "method", sa.String(120), nullable=False, comment="a token; card or bank data never come here"
        ),
        sa.Column("label", sa.String(80), nullable=False, comment="for people: visa 4242"),
        sa.Column("days_before", sa.Integer, nullable=False, comment="before the due date"),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("since", UtcDateTime, nullable=False),
    ]


autopay = sa.Table("autopay", META, *_terms())

ended = sa.Table(
    "autopay_ended",
    META,
    *_terms(),
    comment="autopay whose method has ended at the gateway, which may bring it back or replace it",
)

stored = sa.Table(
    "gateway_method",
    META,
    sa.Column("gateway", sa.String(32), primary_key=True),
    sa.Column("method", sa.String(120), primary_key=True),
    sa.Column(
        "at", sa.BigInteger, nullable=False, comment="of the last word on it: the gateway's Unix seconds"
    ),
    sa.Column("is_ended", sa.Boolean, nullable=False),
    sa.Column("instead", sa.String(120), nullable=False, comment="the one that replaced it"),
    sa.Column("why", sa.String(80), nullable=False),
    comment="stored methods of which a gateway said something",
)

cursor = sa.Table(
    "gateway_cursor",
    META,
    sa.Column("gateway", sa.String(32), primary_key=True),
    sa.Column("until", UtcDateTime, nullable=False, comment="its events before this were fetched"),
)

attempt = sa.Table(
    "gateway_attempt",
    META,
    sa.Column("id", sa.String(64), primary_key=True, comment="the idempotency key, too"),
    sa.Column("account_id", sa.String(64), sa.ForeignKey("account.id"), nullable=False, index=True),
    sa.Column("invoice_id", sa.String(64), sa.ForeignKey("invoice.id"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False, comment="the how manieth try for the invoice"),
    sa.Column("gateway", sa.String(32), nullable=False),
    sa.Column("customer", sa.String(120), nullable=False),
    sa.Column("method", sa.String(120), nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column(
        "state",
        sa.String(12),
        nullable=False,
        comment="folded: unknown | pending | failed | succeeded; or dropped",
    ),
    sa.Column("code", sa.String(64), nullable=False),
    sa.Column("reference", sa.String(120), index=True, comment="what the gateway calls it"),
    sa.Column("payment_id", sa.String(64), sa.ForeignKey("payment.id")),
    sa.Column("refunded", sa.BigInteger, nullable=False, comment="what of it was taken back in our books"),
    sa.Column("planned_on", sa.Date, nullable=False),
    sa.Column("asked_at", UtcDateTime, comment="none: nobody can have been charged"),
    sa.Column("told_on", sa.Date, comment="local day on which we heard of its state"),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.CheckConstraint("amount > 0", name="amount"),
    sa.UniqueConstraint("invoice_id", "number"),
    _where("ix_gateway_attempt_undecided", UNDECIDED, "id"),
    _where("ix_gateway_attempt_failed", FAILURES, "told_on"),
)

fact = sa.Table(
    "gateway_fact",
    META,
    sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
    sa.Column("attempt_id", sa.String(64), sa.ForeignKey("gateway_attempt.id"), nullable=False, index=True),
    sa.Column("content", Json, nullable=False, comment="billing.gateways.state.Fact"),
    sa.Column("source", sa.String(80), nullable=False, comment="answer, or the event that said it"),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    comment="append only",
)

heard = sa.Table(
    "gateway_event",
    META,
    sa.Column("id", sa.String(160), primary_key=True, comment="gateway and its event: heard once"),
    sa.Column("gateway", sa.String(32), nullable=False),
    sa.Column("kind", sa.String(80), nullable=False),
    sa.Column("reference", sa.String(120), index=True, comment="the charge that it is about"),
    sa.Column("attempt_id", sa.String(64), comment="as the charge's own data name it"),
    sa.Column("fact", Json, comment="what it says; none: nothing that we need"),
    sa.Column("state", sa.String(8), nullable=False, comment="waiting | applied | ignored"),
    sa.Column("received_at", UtcDateTime, nullable=False),
    _where("ix_gateway_event_waiting", WAITING, "reference"),
)
