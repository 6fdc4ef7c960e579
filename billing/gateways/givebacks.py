"""Refunds of what came through a gateway go back through it, asked with one key until their fate is known."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.gateways import recording
from billing.gateways.errors import GatewayRefused, GatewaySilent
from billing.gateways.models import attempt
from billing.gateways.protocol import KEY_LIVES, Answer, Gateway, Giveback
from billing.gateways.state import FAILED
from billing.models import payment
from billing.refunding import refunds
from billing.refunding.models import refund as refund_table
from billing.refunding.refunds import REQUESTED, SENT
from core import clock, faults, jobs
from core.db import Database
from core.jobs import Job

REFUND = "billing.refund"
_MOVED = "moved:"
P_ASKED = faults.declare("billing.before_gateway_refund")
P_GIVEN = faults.declare("billing.after_gateway_refund")
Connect = Callable[[str], Gateway]


def queue(conn: Connection, refund: str) -> bool:
    """Let the gateway be asked, where the payment came through one and is to go back by it; False: not its matter."""
    row = refunds.get(conn, refund)
    if row["state"] not in (REQUESTED, SENT):
        return False
    found = origin(conn, row["payment_id"])
    if found is None or found["gateway"] != row["method"]:
        return False
    jobs.enqueue(conn, REFUND, {"refund": refund}, unique=f"{REFUND}:{refund}")
    return True


def queue_open(conn: Connection) -> int:
    """The same of every refund whose fate is not known: its job may have given up, and no event came."""
    query = sa.select(refund_table.c.id).where(refund_table.c.state.in_((REQUESTED, SENT)))
    return sum(queue(conn, one) for one in conn.execute(query.order_by(refund_table.c.id)).scalars().all())


def origin(conn: Connection, payment_id: str) -> dict[str, Any] | None:
    """The attempt that brought a payment, also one that was moved from another account."""
    while True:
        row = conn.execute(sa.select(attempt).where(attempt.c.payment_id == payment_id)).mappings().first()
        if row is not None:
            return dict(row)
        query = sa.select(payment.c.idempotency_key).where(payment.c.id == payment_id)
        key = str(conn.execute(query).scalar() or "")
        if not key.startswith(_MOVED):
            return None
        payment_id = key.removeprefix(_MOVED)


def way_back(conn: Connection, payment_id: str, otherwise: str) -> str:
    """The gateway that a payment came through, or the way that is otherwise used."""
    found = origin(conn, payment_id)
    return otherwise if found is None else str(found["gateway"])


def perform(database: Database, job: Job, connect: Connect) -> None:
    """Ask for a refund. Raises GatewaySilent and KeyRefused: the job comes again with the same key.

    Raises GatewayRefused where it will not tell of one that it has.
    """
    refund = job.payload["refund"]
    with database.read() as conn:
        row = refunds.get(conn, refund)
        found = origin(conn, row["payment_id"])
        if row["state"] not in (REQUESTED, SENT) or found is None:
            return
        _require_alone(conn, row, found)
        wanted = _wanted(conn, row, found)
    gateway = connect(found["gateway"])
    faults.point(P_ASKED)
    try:
        if row["reference"]:
            said = gateway.fetch_refund(row["reference"])
        else:
            old = clock.now() - row["recorded_at"] > KEY_LIVES
            fact = (gateway.find_refund(wanted) if old else None) or gateway.refund(wanted)
            said = Answer(found["reference"], (fact,))
    except GatewayRefused as error:
        if row["reference"]:
            raise  # it has it: that it is not shown to us says nothing of it
        # An earlier question may have been answered with the money, and the answer was lost.
        done = gateway.find_refund(wanted)
        if done is None:
            _refused(database, refund, found["id"], str(error))
            return
        said = Answer(found["reference"], (done,))
    faults.point(P_GIVEN)
    with database.write() as conn:
        # The payment may have been moved: then the attempt's facts do not find the refund by its payment.
        recording.answered(conn, found["id"], Answer("", said.facts), source=f"refund {refund}")


def look(database: Database, job: Job, connect: Connect) -> None:
    """Fetch what a webhook said of a refund. Raises GatewaySilent."""
    gateway, refund = job.payload["gateway"], job.payload["refund"]
    said = connect(gateway).fetch_refund(refund)
    with database.write() as conn:
        recording.looked(conn, gateway, refund, said)


def _require_alone(conn: Connection, row: dict[str, Any], found: dict[str, Any]) -> None:
    """One at a time for a charge: a gateway compares what goes back in all."""
    query = sa.select(refund_table.c.id).where(
        refund_table.c.state == REQUESTED, refund_table.c.payment_id == row["payment_id"],
        refund_table.c.method == row["method"], refund_table.c.id < row["id"],
    )  # fmt: skip
    earlier = conn.execute(query).scalar()
    if earlier is not None:
        raise GatewaySilent(found["gateway"], f"refund {earlier} of the same charge comes first")


def _wanted(conn: Connection, row: dict[str, Any], found: dict[str, Any]) -> Giveback:
    """`total`: all that went back through the gateway before, whoever asked, and this one."""
    before = sum(
        one.amount
        for one in recording.state_of(conn, found["id"]).refunds
        if one.what != FAILED and one.own != row["id"]
    )
    return Giveback(
        key=row["id"], reference=found["reference"], amount=row["amount"], total=before + row["amount"]
    )


def _refused(database: Database, refund: str, attempt_id: str, why: str) -> None:
    """It is credit again; a person sees the event `refund.failed`, and what waited for it goes on."""
    with database.write() as conn:
        refunds.failed(conn, refund, actor=recording.ACTOR, why=why)
        recording.again(conn, attempt_id)
