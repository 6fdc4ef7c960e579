"""A day's work of billing in its order: each step by itself, so that one that fails keeps no other from its turn."""

import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import NamedTuple

import msgspec

from billing.billrun import run_billing
from billing.closing.recognition import recognise
from billing.collecting import waiting
from billing.dunning import run_dunning
from billing.gateways import autopay
from billing.messages import queueing
from billing.rating import cutting, running
from billing.wallet import breakage
from billing.wallet.running import run_prepaid
from core.crypto import DataKey
from core.db import Database
from core.errors import Retryable, Terminal
from crm.changes.performing import perform_due
from intents.reader import Reader


class Work(NamedTuple):
    """What a day is done with. `on`: local date of the operator."""

    database: Database
    reader: Reader
    key: DataKey | None
    on: date
    actor: str


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """A step that was done. `told`: in words; `problems`: what a person has to look at; `seconds` on the clock."""

    step: str
    told: str
    problems: tuple[str, ...] = ()
    seconds: float = 0.0


_Told = tuple[str, tuple[str, ...]]


def perform(work: Work) -> Iterator[Done]:
    """Do the day's steps, each told when it is done. Doing the day again does what is left of it, and nothing twice.

    A day that was missed is caught up with by the next one: every step looks at what is due by then.
    """
    for name, step in STEPS.items():
        begun = time.monotonic()
        try:
            told, problems = step(work)
        except (Terminal, Retryable) as error:
            told, problems = "failed", (str(error),)
        yield Done(step=name, told=told, problems=problems, seconds=round(time.monotonic() - begun, 3))


def _agreed(work: Work) -> _Told:
    performed = perform_due(work.database, work.reader, work.key)
    return f"{len(performed)} agreed changes carried out", ()


def _rated(work: Work) -> _Told:
    done = running.rate(work.database, work.reader, work.on, actor=work.actor)
    with work.database.write() as conn:
        cutting.want(conn, work.reader)
    return f"{len(done.changes)} amounts of usage rated", tuple(map(str, done.lost))


def _billed(work: Work) -> _Told:
    run = run_billing(work.database, work.reader, work.on)
    told = f"{run.drafts} new bills, {len(run.final)} documents final, {len(run.parked)} parked"
    told += "".join(f"; unusual: {one}" for one in run.unusual)
    parked = tuple(f"{account} is parked: {why}" for account, why in run.parked.items())
    return told, (run.silent, *parked) if run.silent else parked


def _recognised(work: Work) -> _Told:
    done = recognise(work.database, work.on - timedelta(days=1))
    return f"{done.transactions} transactions of revenue booked through {done.until}", ()


def _charged(work: Work) -> _Told:
    return f"{autopay.plan(work.database, work.on)} charges queued", ()


def _prepaid(work: Work) -> _Told:
    run = run_prepaid(work.database, work.reader, actor=work.actor)
    refused = tuple(f"{service}: {why}" for service, why in run.refused.items())
    told = f"{len(run.bought)} prepaid periods bought, {len(run.warned)} warned, {len(run.held)} held"
    return told, (*refused, run.problem) if run.problem else refused


def _dunned(work: Work) -> _Told:
    run = run_dunning(work.database, work.reader, work.on, actor=work.actor)
    with work.database.read() as conn:
        parked = tuple(map(str, waiting.waiting(conn)))
    told = f"{len(run.held)} holds and {len(run.released)} releases asked for"
    return told + (f"; left to a person: {', '.join(run.manual)}" if run.manual else ""), parked


def _expired(work: Work) -> _Told:
    return (
        f"{len(breakage.run(work.database, actor=work.actor))} vouchers and wallets expired in the books",
        (),
    )


def _sent(work: Work) -> _Told:
    return f"{queueing.sweep(work.database, queueing.since_of(work.reader))} messages wait to be sent", ()


STEPS: dict[str, Callable[[Work], _Told]] = {
    "agreed": _agreed, "rated": _rated, "billed": _billed, "recognised": _recognised, "charged": _charged,
    "prepaid": _prepaid, "dunned": _dunned, "expired": _expired, "sent": _sent,
}  # fmt: skip
"""Changes come before the bill that they change, money before dunning, and what is told last."""
