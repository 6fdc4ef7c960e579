"""Facts in, money moved: one transaction, whoever says it how often in whatever order."""

from collections.abc import Iterable
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, payments
from billing.gateways.models import attempt, fact, heard
from billing.gateways.protocol import Answer, Told
from billing.gateways.state import FAILED, LOST, OPEN, SUCCEEDED, WON, Fact, State, fold
from billing.refunding import chargebacks
from core import clock, events
from core.money import Money

ACTOR = "gateway"


def answered(conn: Connection, attempt_id: str, said: Answer, source: str = "answer") -> State:
    """Record what a gateway answered of an attempt, and what waited for its reference; returns the state."""
    row = _lock(conn, attempt_id)
    if said.reference and row["reference"] != said.reference:
        conn.execute(sa.update(attempt).where(attempt.c.id == attempt_id).values(reference=said.reference))
        waiting = sa.select(heard).where(heard.c.reference == said.reference, heard.c.state == "waiting")
        for one in conn.execute(waiting).mappings().all():
            _add(conn, attempt_id, [msgspec.convert(one["fact"], Fact)], one["id"])
            conn.execute(sa.update(heard).where(heard.c.id == one["id"]).values(state="applied"))
    _add(conn, attempt_id, said.facts, source)
    return _apply(conn, attempt_id)


def hear(conn: Connection, gateway: str, told: Told) -> bool:
    """Record an event and what follows from it; False for one that was heard before."""
    event_id = f"{gateway}:{told.id}"
    if conn.execute(sa.select(heard.c.id).where(heard.c.id == event_id)).first() is not None:
        return False
    owner = _attempt_of(conn, told)
    state = "ignored" if told.fact is None else "waiting" if owner is None else "applied"
    values = {
        "id": event_id, "gateway": gateway, "kind": told.kind, "reference": told.reference or None,
        "attempt_id": owner, "fact": None if told.fact is None else msgspec.to_builtins(told.fact), "state": state,
        "received_at": clock.now(),
    }  # fmt: skip
    conn.execute(sa.insert(heard).values(**values))
    if owner is not None and told.fact is not None:
        _lock(conn, owner)
        _add(conn, owner, [told.fact], event_id)
        _apply(conn, owner)
    return True


def facts_of(conn: Connection, attempt_id: str) -> list[Fact]:
    """Everything that was ever said of an attempt."""
    query = sa.select(fact.c.content).where(fact.c.attempt_id == attempt_id).order_by(fact.c.seq)
    return [msgspec.convert(content, Fact) for content in conn.execute(query).scalars()]


def get(conn: Connection, attempt_id: str) -> dict[str, Any]:
    """An attempt that is there, as a row."""
    return dict(conn.execute(sa.select(attempt).where(attempt.c.id == attempt_id)).mappings().one())


def _apply(conn: Connection, attempt_id: str) -> State:
    row = get(conn, attempt_id)
    state = fold(facts_of(conn, attempt_id))
    payment_id = row["payment_id"]
    if state.charge == SUCCEEDED and payment_id is None:
        amount = Money(row["amount"], row["currency"])
        paid = payments.pay(
            conn, row["account_id"], amount, row["gateway"], f"gateway:{attempt_id}", actor=ACTOR,
            named=(row["invoice_id"],),
        )  # fmt: skip
        payment_id = paid.payment
    if payment_id is not None:
        _take_back(conn, row, payment_id, state)
    if state.charge == FAILED and row["state"] != FAILED:
        said = {"attempt": attempt_id, "invoice": row["invoice_id"], "code": state.code, "try": row["number"]}
        events.emit(conn, "payment.failed", row["account_id"], said, actor=ACTOR)
    values = {"state": state.charge, "code": state.code, "payment_id": payment_id}
    conn.execute(sa.update(attempt).where(attempt.c.id == attempt_id).values(**values))
    return state


def _take_back(conn: Connection, row: dict[str, Any], payment_id: str, state: State) -> None:
    """Refunds made at the gateway itself, and disputes: the money is gone, what it paid is open again."""
    more = min(state.refunded, row["amount"]) - row["refunded"]
    if more > 0:
        chargebacks.chargeback(
            conn, payment_id, Money(more, row["currency"]), key=f"gateway:{row['id']}:refund:{row['refunded']}",
            actor=ACTOR, reason="refunded at the gateway",
        )  # fmt: skip
        conn.execute(
            sa.update(attempt).where(attempt.c.id == row["id"]).values(refunded=row["refunded"] + more)
        )
    for reference, verdict, amount in state.disputes:
        key = f"gateway:{row['id']}:dispute:{reference}"
        if verdict in (OPEN, LOST, WON):
            chargebacks.chargeback(
                conn, payment_id, Money(amount, row["currency"]), key=key, actor=ACTOR, reason="dispute"
            )
        if verdict == WON:
            chargebacks.chargeback_reversed(conn, key, actor=ACTOR)


def _add(conn: Connection, attempt_id: str, facts: Iterable[Fact], source: str) -> None:
    known = set(facts_of(conn, attempt_id))
    for one in facts:
        if one not in known:
            values = {
                "attempt_id": attempt_id, "content": msgspec.to_builtins(one), "source": source,
                "recorded_at": clock.now(),
            }  # fmt: skip
            conn.execute(sa.insert(fact).values(**values))


def _attempt_of(conn: Connection, told: Told) -> str | None:
    for condition in (attempt.c.id == told.attempt, attempt.c.reference == told.reference):
        if (told.attempt, told.reference) != ("", ""):
            found = conn.execute(sa.select(attempt.c.id).where(condition)).scalar()
            if found is not None:
                return str(found)
    return None


def _lock(conn: Connection, attempt_id: str) -> dict[str, Any]:
    """The account is the lock: whatever moves its money waits."""
    accounts.lock(conn, get(conn, attempt_id)["account_id"])
    return get(conn, attempt_id)
