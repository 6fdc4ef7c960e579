"""Stripe and GoCardless that stumble, over HTTP: whatever is lost, said twice or late, the books are the gateway's."""

import hashlib
import hmac
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from billing import debts, ledger
from billing.billrun import run_billing
from billing.gateways import autopay, givebacks, gocardless_gateway, recording, register, stripe_gateway
from billing.gateways.errors import GatewaySilent
from billing.gateways.models import attempt
from billing.gateways.protocol import Gateway
from billing.gateways.state import SUCCEEDED
from billing.models import payment
from billing.refunding import byhand, refunds
from billing.refunding.models import refund as refund_table
from core import clock, faults
from core.db import Database
from core.errors import Terminal
from core.events import Event
from core.jobs import Job
from core.models import event as event_table
from core.models import job as job_table
from core.money import Money
from tests.billing.fake_gateway import Books
from tests.billing.stage import START, Stage
from tests.support import eventually, kept_port

DUE = date(2026, 1, 15)
SECRET = "whsec_testing"
KINDS = {autopay.CHARGE, givebacks.REFUND, recording.LOOK}


class World:
    """The gateway's process, ours, and the events in between."""

    def __init__(self, database: Database, folder: Path, seed: int, share: float) -> None:
        self.database, self.dice = database, random.Random(seed)
        self.path, self.port, self.seed = folder / "gateway.sqlite", kept_port(), seed
        self.books = Books(self.path)
        self.share = share
        self.start()
        address = f"http://127.0.0.1:{self.port}"
        self.gateways: dict[str, Gateway] = {
            "stripe": stripe_gateway.connect("stripe", "sk_test_1", SECRET, address),
            "gocardless": gocardless_gateway.connect("gocardless", "sandbox_1", SECRET, address),
        }
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.said: set[str] = set()
        self.now = 1_768_000_000
        self.count = 0
        self.stages: list[Stage] = []

    def start(self) -> None:
        """Start it, again with the same books."""
        command = [sys.executable, "-m", "tests.billing.fake_gateway", str(self.path), str(self.port),
                   str(self.seed), str(self.share)]  # fmt: skip
        self.process = subprocess.Popen(command)
        eventually(lambda: self.books.share() >= 0 if _listens(self.port) else None, cap=20)

    def kill(self) -> None:
        """As the power does."""
        self.process.kill()
        self.process.wait()

    def customers(self, count: int) -> None:
        """Each owes one invoice and pays by the one gateway or the other."""
        for number in range(count):
            stage = Stage(self.database)
            stage.add()
            run_billing(self.database, stage.reader, START)
            name = ("stripe", "gocardless")[number % 2]
            terms = autopay.Method(
                gateway=name, customer=f"cus_{stage.account}", method=f"MD_{stage.account}", label="x"
            )
            with self.database.write() as conn:
                autopay.switch_on(conn, stage.account, terms, actor="ada")
            self.stages.append(stage)

    def work(self) -> int:
        """Every job that waits, once; what the gateway does not answer stays."""
        with self.database.read() as conn:
            query = sa.select(job_table).where(job_table.c.kind.in_(KINDS), job_table.c.state == "queued")
            rows = conn.execute(query).all()
        for row in rows:
            one = Job(row.job_id, row.kind, row.payload, 1)
            try:
                if row.kind == autopay.CHARGE:
                    autopay.perform(self.database, one, self.gateways.__getitem__)
                elif row.kind == givebacks.REFUND:
                    givebacks.perform(self.database, one, self.gateways.__getitem__)
                else:
                    givebacks.look(self.database, one, self.gateways.__getitem__)
            except GatewaySilent:
                continue
            with self.database.write() as conn:
                conn.execute(sa.delete(job_table).where(job_table.c.job_id == row.job_id))
        return len(rows)

    def happens(self) -> None:
        """Something at the gateway: a debit goes on, a bank sends one back, somebody refunds on the dashboard."""
        self.now += 60
        debits = self.books.all("PM")
        if debits:
            self._debit(self.dice.choice(debits))
        for one in [*self.books.all("RF"), *self.books.all("re_")]:
            if one["status"] == "created" and self.dice.random() < 0.5:
                self.books.change(one["id"], status=self.dice.choice(["paid", "paid", "failed"]))
        if self.dice.random() < 0.1:
            self._dashboard()
        for one in self.books.all("pi_"):
            self._say("stripe", f"{one['id']}:paid", "payment_intent.succeeded", one)
        for one in self.books.all("re_"):
            self._say("stripe", f"{one['id']}:{one['status']}", "refund.updated", one)
        for one in self.books.all("RF"):
            self._say(
                "gocardless", f"{one['id']}:{one['status']}", "refunds", one["status"], {"refund": one["id"]}
            )

    def _debit(self, one: dict[str, Any]) -> None:
        way = {
            "pending_submission": ["submitted"], "submitted": ["confirmed", "confirmed", "failed"],
            "confirmed": ["paid_out", "failed", "charged_back"] if self.dice.random() < 0.3 else ["paid_out"],
            "charged_back": ["chargeback_cancelled", "charged_back"],
        }.get(one["status"])  # fmt: skip
        if way is None or self._refunded(one["id"]):
            return
        action = self.dice.choice(way)
        status = "confirmed" if action == "chargeback_cancelled" else action
        if status == one["status"]:
            return
        self.books.change(one["id"], status=status, dispute=action == "charged_back")
        self._say("gocardless", f"{one['id']}:{self.now}", "payments", action, {"payment": one["id"]})

    def _refunded(self, charge: str) -> bool:
        return any(one["links"]["payment"] == charge for one in self.books.all("RF"))

    def _dashboard(self) -> None:
        charges = self.books.all("pi_")
        if not charges:
            return
        one = self.dice.choice(charges)
        if any(back["payment_intent"] == one["id"] for back in self.books.all("re_")):
            return
        self.books.made("re_", f"dashboard:{one['id']}", {
            "object": "refund", "payment_intent": one["id"], "metadata": {}, "amount": 500, "status": "succeeded",
        })  # fmt: skip

    def _say(self, gateway: str, once: str, *what: Any) -> None:
        if once not in self.said:
            self.said.add(once)
            self.count += 1
            self.events.append((gateway, self._event(gateway, *what)))

    def _event(self, gateway: str, kind: str, *what: Any) -> dict[str, Any]:
        identifier = f"EV{self.seed}_{self.count}"
        if gateway == "stripe":
            return {"id": identifier, "type": kind, "created": self.now, "data": {"object": what[0]}}
        at = datetime.fromtimestamp(self.now, UTC).isoformat().replace("+00:00", "Z")
        return {
            "id": identifier,
            "resource_type": kind,
            "action": what[0],
            "links": what[1],
            "created_at": at,
        }

    def deliver(self, most: int) -> None:
        """Some events, in any order, some twice, some with a signature that is wrong."""
        self.dice.shuffle(self.events)
        for gateway, event in self.events[:most]:
            body = json.dumps(event if gateway == "stripe" else {"events": [event]}).encode()
            for _ in range(self.dice.choice([1, 1, 2])):
                self.tell(gateway, body)
        del self.events[:most]

    def tell(self, gateway: str, body: bytes) -> None:
        """As the HTTP route does."""
        told = self.gateways[gateway].read_events(_signed(gateway, body), body)
        for one in told:
            with self.database.write() as conn:
                recording.hear(conn, gateway, one)

    def refund_some(self) -> None:
        """Support takes a payment off its invoice and gives a part of it back."""
        with self.database.read() as conn:
            rows = conn.execute(sa.select(attempt).where(attempt.c.state == SUCCEEDED)).mappings().all()
        if not rows:
            return
        row = self.dice.choice(rows)
        key = f"r:{row['id']}:{self.now}"
        try:
            with self.database.write() as conn:
                byhand.unallocate(conn, row["payment_id"], row["invoice_id"], actor="sue")
                made = refunds.refund(
                    conn, row["payment_id"], Money(self.dice.choice([100, 2_000]), row["currency"]), key=key,
                    method=givebacks.way_back(conn, row["payment_id"], "bank"), actor="sue", reason="goodwill",
                )  # fmt: skip
        except Terminal:
            return  # it went back already, or pays nothing any more
        self.subscribe(made)

    def subscribe(self, made: str) -> None:
        """What delivers events does: hand over the one that the refund wrote."""
        with self.database.read() as conn:
            query = sa.select(event_table).where(event_table.c.type == "refund.requested")
            found = [row for row in conn.execute(query).all() if row.data["refund"] == made]
        (row,) = found
        register.ask(
            self.database, Event(row.event_id, row.type, row.occurred_at, row.subject, row.actor, row.data)
        )

    def settle(self) -> None:
        """No more faults; everything that waits is told and done."""
        self.share = 0.0
        self.books.share(0.0)
        for _ in range(12):
            for one in self.books.all("RF"):
                if one["status"] == "created":
                    self.books.change(one["id"], status="paid")
            self.happens_nothing()
            self.deliver(len(self.events))
            autopay.plan(self.database, DUE)
            if not self.work() and not self.events:
                break

    def happens_nothing(self) -> None:
        """Only what is not told yet is told."""
        for one in self.books.all("re_"):
            self._say("stripe", f"{one['id']}:{one['status']}", "refund.updated", one)
        for one in self.books.all("RF"):
            self._say(
                "gocardless", f"{one['id']}:{one['status']}", "refunds", one["status"], {"refund": one["id"]}
            )

    def net(self, gateway: str, account: str) -> int:
        """What the gateway holds for us of an account's money."""
        charge, back, link = (
            ("pi_", "re_", "payment_intent") if gateway == "stripe" else ("PM", "RF", "payment")
        )
        mine = [one for one in self.books.all(charge) if account in _owner(one)]
        total = 0
        for one in mine:
            came = one["status"] in ("succeeded", "confirmed", "paid_out")
            total += one["amount"] if came else 0
            for given in self.books.all(back):
                if (
                    one["id"] in (given.get(link), given.get("links", {}).get(link))
                    and given["status"] != "failed"
                ):
                    total -= given["amount"]
        return total


def _owner(one: dict[str, Any]) -> str:
    return str(one.get("customer") or one["links"]["mandate"])


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _signed(gateway: str, body: bytes) -> dict[str, str]:
    if gateway == "gocardless":
        return {"webhook-signature": hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}
    at = int(time.time())
    mac = hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return {"stripe-signature": f"t={at},v1={mac}"}


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


@pytest.mark.parametrize("world", range(1, 5), indirect=True)
def test_invariants_25_and_26_whatever_goes_wrong_the_books_are_the_gateways(world: World) -> None:
    """Charges, refunds, returns and disputes through two gateways that stumble, and are killed in between: nobody is
    charged twice, and of each account's money our books say what the gateway holds.
    """
    world.customers(8)
    autopay.plan(world.database, DUE)
    for turn in range(40):
        with clock.frozen(datetime.fromtimestamp(world.now, UTC)):
            world.work()
            world.happens()
            if world.dice.random() < 0.3:
                world.refund_some()
            world.deliver(world.dice.randrange(4))
            if turn == 20:
                world.kill()
                world.work()
                world.start()
    with clock.frozen(datetime.fromtimestamp(world.now, UTC)):
        world.settle()
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
        charges = [one for one in world.books.all(kind) if stage.account in _owner(one)]
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
        left = conn.execute(sa.select(sa.func.count()).where(job_table.c.kind == autopay.CHARGE)).scalar()
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
