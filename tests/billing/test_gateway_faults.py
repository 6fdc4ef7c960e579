"""Stripe and GoCardless that stumble, over HTTP: whatever is lost, said twice or late, the books are the gateway's."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from billing import debts, ledger
from billing.gateways import (
    asking,
    autopay,
    givebacks,
)
from billing.gateways.models import attempt
from billing.gateways.state import SUCCEEDED
from billing.models import payment
from billing.refunding import byhand, refunds
from billing.refunding.models import refund as refund_table
from core import clock, faults
from core.db import Database
from core.models import job as job_table
from core.money import Money
from tests.billing.gateway_world import DUE, World, owner_of
from tests.support import examples

SEEDS = range(1, 1 + examples(2))


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """GoCardless's client waits half a second before it asks again."""
    monkeypatch.setattr("gocardless_pro.services.base_service.time.sleep", lambda _seconds: None)


@pytest.fixture
def world(database: Database, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """A gateway of a seed."""
    made = World(database, tmp_path, getattr(request, "param", 1), 0.4)
    yield made
    made.kill()


@pytest.mark.parametrize("world", SEEDS, indirect=True)
def test_invariants_25_and_26_whatever_goes_wrong_the_books_are_the_gateways(world: World) -> None:
    """Charges, refunds, returns and disputes through two gateways that stumble, and are killed in between: nobody is
    charged twice, and of each account's money our books say what the gateway holds. Events get lost for good, keys are
    forgotten after a day and refused for two, and what failed is tried again.
    """
    with clock.frozen(datetime.fromtimestamp(world.now, UTC)):
        world.customers(8)
    for turn in range(60):
        with clock.frozen(datetime.fromtimestamp(world.now, UTC)):
            if turn % 4 == 0:
                autopay.plan(world.database, DUE + timedelta(days=turn // 4))
            world.books.setting("locked", turn in range(30, 38))
            world.work()
            world.once()
            world.happens()
            if world.dice.random() < 0.3:
                world.refund_some()
            world.deliver(world.dice.randrange(4))
            if turn == 20:
                world.kill()
                world.work()
                world.start()
    with clock.frozen(datetime.fromtimestamp(world.now + 60, UTC)):
        world.settle()
        world.once()
    for stage in world.stages:
        with world.database.read() as conn:
            rows = (
                conn.execute(sa.select(attempt).where(attempt.c.account_id == stage.account)).mappings().all()
            )
            booked = ledger.balance(conn, f"cash:{rows[0]['gateway']}", stage.account, "AUD").minor
            on_its_way = conn.execute(sa.select(refund_table.c.id).where(
                refund_table.c.state.in_(("requested", "sent")),
                refund_table.c.payment_id.in_(sa.select(payment.c.id).where(payment.c.account_id == stage.account)),
            )).scalars().all()  # fmt: skip
            sums = [
                ledger.balance(conn, name, stage.account, "AUD").minor for name in ("receivable", "credit")
            ]
            open_ = sum(one.balance for one in debts.open_balances(conn, stage.account))
        kind = "pi_" if rows[0]["gateway"] == "stripe" else "PM"
        charges = [one for one in world.books.all(kind) if stage.account in owner_of(one)]
        assert len(charges) == len([row for row in rows if row["reference"]])
        assert len({one["metadata"]["attempt"] for one in charges}) == len(charges)
        assert on_its_way == []
        assert booked == world.net(rows[0]["gateway"], stage.account)
        assert sums[0] == open_


def test_the_fake_does_stumble(world: World) -> None:
    """Or the test above would show nothing."""
    world.customers(8)
    autopay.plan(world.database, DUE)
    world.work()
    with world.database.read() as conn:
        left = conn.execute(sa.select(sa.func.count()).where(job_table.c.kind == asking.CHARGE)).scalar()
    assert left
    assert world.books.all("pi_") or world.books.all("PM")


def test_a_refund_goes_back_the_way_it_came(world: World) -> None:
    """By default; its fate is the gateway's word; one that the gateway refuses is credit again and says why."""
    world.books.share(0.0)
    world.customers(1)
    autopay.plan(world.database, DUE)
    world.work()
    with world.database.write() as conn:
        (row,) = conn.execute(sa.select(attempt)).mappings().all()
        byhand.unallocate(conn, row["payment_id"], row["invoice_id"], actor="sue")
        way = givebacks.way_back(conn, row["payment_id"], "bank")
        given: Any = {"method": way, "actor": "sue", "reason": "left"}
        first = refunds.refund(conn, row["payment_id"], Money(1_000, "AUD"), key="r1", **given)
        second = refunds.refund(conn, row["payment_id"], Money(2_000, "AUD"), key="r2", **given)
    assert way == "stripe"
    world.subscribe(first)
    world.subscribe(second)
    world.books.change(row["reference"], amount=2_500)  # most of it went back at the gateway meanwhile
    for _ in range(3):
        world.work()
    with world.database.read() as conn:
        done, refused = refunds.get(conn, first), refunds.get(conn, second)
    assert (done["state"], done["reference"][:3]) == ("settled", "re_")
    assert refused["state"] == "failed"
    assert "Refund amount is greater" in refused["failure"]
    assert [one["amount"] for one in world.books.all("re_")] == [1_000]


_DOOMED = "import sys; from tests.billing.gateway_world import doomed; doomed(*sys.argv[1:])"
POINTS = [givebacks.P_ASKED, givebacks.P_GIVEN]


@pytest.mark.parametrize("point", POINTS)
def test_whoever_dies_where_ever_the_refund_is_one(
    world: World, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """Before the gateway heard of it, or after it and before we wrote it down."""
    world.books.share(0.0)
    world.customers(1)
    autopay.plan(world.database, DUE)
    world.work()
    with world.database.write() as conn:
        (row,) = conn.execute(sa.select(attempt)).mappings().all()
        byhand.unallocate(conn, row["payment_id"], row["invoice_id"], actor="sue")
        made = refunds.refund(
            conn,
            row["payment_id"],
            Money(1_000, "AUD"),
            key="r1",
            method="stripe",
            actor="sue",
            reason="left",
        )
    world.subscribe(made)
    monkeypatch.setenv("TRUNKLINE_TEST_MODE", "1")
    monkeypatch.setenv("TRUNKLINE_FAULT", f"{point}:1:raise")
    monkeypatch.setattr(faults, "_passages", {})
    with pytest.raises(faults.FaultInjected):
        world.work()
    monkeypatch.delenv("TRUNKLINE_FAULT")
    with world.database.read() as conn:
        assert refunds.get(conn, made)["state"] == "requested"
    world.work()
    with world.database.read() as conn:
        assert refunds.get(conn, made)["state"] == "settled"
    assert len(world.books.all("re_")) == 1


def test_a_refund_whose_answer_was_lost_for_days_is_found(world: World) -> None:
    """The key is forgotten by then; the money goes back once."""
    world.books.share(0.0)
    world.customers(1)
    autopay.plan(world.database, DUE)
    world.work()
    with world.database.write() as conn:
        (row,) = conn.execute(sa.select(attempt)).mappings().all()
        byhand.unallocate(conn, row["payment_id"], row["invoice_id"], actor="sue")
        made = refunds.refund(
            conn,
            row["payment_id"],
            Money(1_000, "AUD"),
            key="r1",
            method="stripe",
            actor="sue",
            reason="left",
        )
    world.books.made("re_", "forgotten", {
        "object": "refund", "payment_intent": row["reference"], "metadata": {"refund": made}, "amount": 1_000,
        "status": "succeeded",
    })  # fmt: skip
    world.subscribe(made)
    with clock.frozen(clock.now() + timedelta(days=2)):
        world.work()
    with world.database.read() as conn:
        assert refunds.get(conn, made)["state"] == "settled"
    assert len(world.books.all("re_")) == 1


@pytest.mark.parametrize("point", [autopay.P_ASKED, autopay.P_CHARGED, givebacks.P_ASKED, givebacks.P_GIVEN])
def test_a_worker_that_is_killed_charges_and_refunds_once(world: World, point: str) -> None:
    """By the power itself, in a process of its own; whoever comes next finds out, also when the key is forgotten."""
    world.books.share(0.0)
    world.customers(1)
    autopay.plan(world.database, DUE)
    if point in (givebacks.P_ASKED, givebacks.P_GIVEN):
        world.work()
        with world.database.write() as conn:
            (row,) = conn.execute(sa.select(attempt)).mappings().all()
            byhand.unallocate(conn, row["payment_id"], row["invoice_id"], actor="sue")
            given: Any = {"method": "stripe", "actor": "sue", "reason": "left"}
            made = refunds.refund(conn, row["payment_id"], Money(1_000, "AUD"), key="r1", **given)
        world.subscribe(made)
    killed = subprocess.run(
        [sys.executable, "-c", _DOOMED, world.database.engine.url.render_as_string(False), str(world.port)],
        env={**os.environ, "TRUNKLINE_TEST_MODE": "1", "TRUNKLINE_FAULT": f"{point}:1:kill"}, check=False, timeout=60,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    later = clock.now() + timedelta(days=2)
    world.books.setting("now", later.timestamp())
    with clock.frozen(later):
        world.work()
    with world.database.read() as conn:
        (row,) = conn.execute(sa.select(attempt)).mappings().all()
        assert row["state"] == SUCCEEDED
        assert [one.amount for one in conn.execute(sa.select(payment))] == [8690]
        if point.endswith("refund"):
            assert refunds.get(conn, made)["state"] == "settled"
    assert len(world.books.all("pi_")) == 1
    assert len(world.books.all("re_")) == (1 if point.endswith("refund") else 0)
