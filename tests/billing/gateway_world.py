"""A payment gateway in a process of its own, our side of it, and the events in between, most of which arrive."""

import hashlib
import hmac
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from billing.billrun import run_billing
from billing.gateways import (
    asking,
    autopay,
    givebacks,
    gocardless_gateway,
    polling,
    recording,
    register,
    stripe_gateway,
)
from billing.gateways.errors import EventRefused
from billing.gateways.models import attempt
from billing.gateways.protocol import Gateway
from billing.gateways.state import SUCCEEDED
from billing.refunding import byhand, refunds
from core.db import Database
from core.errors import Retryable, Terminal
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
KINDS = {asking.CHARGE, givebacks.REFUND, recording.LOOK, polling.POLL}
HOURS = 6 * 3600
LIVE = ("succeeded", "pending_submission", "submitted", "confirmed", "paid_out", "charged_back")


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
        self.now = int(datetime(2026, 1, 15, 4, tzinfo=UTC).timestamp())
        self.books.setting("now", self.now)
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
                PERFORM[row.kind](self.database, one, self.gateways.__getitem__)
            except Retryable:
                continue
            with self.database.write() as conn:
                conn.execute(sa.delete(job_table).where(job_table.c.job_id == row.job_id))
        return len(rows)

    def happens(self) -> None:
        """Something at the gateway: a debit goes on, a bank sends one back, somebody refunds on the dashboard."""
        self.now += HOURS
        self.books.setting("now", self.now)
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
            event = self._event(gateway, *what)
            self.books.happened(gateway, event)
            if self.dice.random() < 0.8:  # others get lost for good: nobody is ever told of them
                self.events.append((gateway, event))

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
        """Some events, in any order, some twice, GoCardless's several in one body; some forged first."""
        self.dice.shuffle(self.events)
        some = self.events[:most]
        debits = [event for gateway, event in some if gateway == "gocardless"]
        bodies = [("stripe", event) for gateway, event in some if gateway == "stripe"]
        for gateway, content in [*bodies, ("gocardless", {"events": debits})]:
            body = json.dumps(content).encode()
            if self.dice.random() < 0.3:
                self.forge(gateway, body)
            for _ in range(self.dice.choice([1, 1, 2])):
                self.tell(gateway, body)
        del self.events[:most]

    def forge(self, gateway: str, body: bytes) -> None:
        """Somebody else says the same, or more than was signed: nobody listens."""
        for headers in (_signed(gateway, body + b" "), _signed(gateway, body, "whsec_other"), {}):
            with pytest.raises(EventRefused):
                self.gateways[gateway].read_events(headers, body)

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
            autopay.plan(
                self.database, DUE
            )  # on an early day: what is known is asked for, nothing is tried again
            self.work()
            created = any(one["status"] == "created" for one in self.books.all("RF"))
            if not created and not self.undone() and not self.events:
                break

    def undone(self) -> int:
        """Jobs that wait."""
        with self.database.read() as conn:
            query = sa.select(sa.func.count()).where(
                job_table.c.kind.in_(KINDS), job_table.c.state == "queued"
            )
            return int(conn.execute(query).scalar_one())

    def once(self) -> None:
        """No invoice has two charges that came in, or may come in yet."""
        with self.database.read() as conn:
            invoices = {row.id: row.invoice_id for row in conn.execute(sa.select(attempt))}
        alive = [
            invoices[one["metadata"]["attempt"]]
            for one in (*self.books.all("pi_"), *self.books.all("PM"))
            if one["status"] in LIVE
        ]
        assert len(set(alive)) == len(alive)

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
        mine = [one for one in self.books.all(charge) if account in owner_of(one)]
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


def owner_of(one: dict[str, Any]) -> str:
    return str(one.get("customer") or one["links"]["mandate"])


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _signed(gateway: str, body: bytes, secret: str = SECRET) -> dict[str, str]:
    if gateway == "gocardless":
        return {"webhook-signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}
    at = int(time.time())
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return {"stripe-signature": f"t={at},v1={mac}"}


PERFORM: dict[str, Callable[[Database, Job, Callable[[str], Gateway]], object]] = {
    asking.CHARGE: autopay.perform,
    givebacks.REFUND: givebacks.perform,
    recording.LOOK: givebacks.look,
    polling.POLL: polling.perform,
}


def doomed(url: str, port: str) -> None:
    """A worker that is killed where TRUNKLINE_FAULT says: every charge that waits, then every refund."""
    database = Database(url)
    address = f"http://127.0.0.1:{port}"
    gateway = stripe_gateway.connect("stripe", "sk_test_1", SECRET, address)
    with database.read() as conn:
        rows = conn.execute(sa.select(job_table).where(job_table.c.kind.in_(KINDS - {polling.POLL}))).all()
    for row in rows:
        PERFORM[row.kind](database, Job(row.job_id, row.kind, row.payload, 1), lambda _name: gateway)
