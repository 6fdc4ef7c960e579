"""Text messages through a real HTTP gateway that misbehaves, notices by mail: once, again later, or not."""

import datetime as dt
import hashlib
import hmac
import json
import os
import signal
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import sqlalchemy as sa

from billing import payments, policies, undoing
from billing.billrun import run_billing
from billing.collecting.models import dunning_notice
from billing.dunning import run_dunning
from billing.mailing.errors import NotNow, Refused
from billing.mailing.sending import Hands as MailHands
from billing.mailing.smtp import Server
from billing.messages import queueing, sending, sms
from billing.messages.errors import MessageUnknown, SmsNotUsable
from billing.messages.models import message
from billing.messages.sms import Gateway
from billing.papers.errors import TemplateFailed
from billing.papers.parties import Party
from billing.stages import Before, Policy, Step
from core import clock
from core.db import Database
from core.jobs import Worker, handles
from core.models import job
from core.money import Money
from intents.config.schema import Config, Entity, Mail, Operator, Sms
from intents.reader import MemoryReader
from intents.scalars import Text
from intents.template.schema import Template
from tests.billing.stage import START, Stage, reader_of
from tests.billing.test_mailing import ADA, post  # noqa: F401  (a fixture)

POINTS = ["billing.message_accepted"]
DUE = date(2026, 1, 15)
PHONE = "+61 400 555 123"
POLICY = Policy(
    (Step("first", 3, channels=("sms", "e-mail", "letter")), Step("stop", 9, "block", channels=("sms",))),
    reminders=(Before(5, ("sms",)),),
)


class Phones:
    """What the gateway does: answers by turn, requests that it took."""

    def __init__(self) -> None:
        self.said: list[tuple[int, str]] = []
        self.asked: list[tuple[dict[str, str], bytes]] = []

    def taken(self) -> list[dict[str, Any]]:
        """Bodies of what was accepted, each key once: as a gateway that keeps its promise."""
        return list({one["id"]: one for one in (json.loads(body) for _, body in self.asked)}.values())


@pytest.fixture
def gateway() -> Iterator[tuple[Phones, str]]:
    """A gateway in a thread."""
    made = Phones()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.asked.append((dict(self.headers), body))
            status, text = made.said.pop(0) if made.said else (200, '{"status": "accepted"}')
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made, f"http://127.0.0.1:{server.server_port}/sms"
    server.shutdown()
    server.server_close()


def a_reader(
    stage: Stage, url: str = "", port: int = 0, since: str = "2026-01-01", *more: Any
) -> MemoryReader:
    """With what is set up: a gateway of text messages, a mail server."""
    config = Config(
        schema=1, operator=Operator(name="Op", timezone="UTC", currency="AUD"),
        entities={stage.entity: Entity(name="Op\nBcc: x@example.net", country="AU")},
        mail=Mail(server="127.0.0.1", port=port, security="none", sender="billing@example.net", since=since)
        if port else None,
        sms=Sms(url=url, sender="Trunkline", since=since, country="61") if url else None,
    )  # fmt: skip
    base = reader_of(stage.services)
    kept = [(kind, known, value) for kind in ("service", "plan") for known, value in base.all(kind)]
    return MemoryReader.of([("config", "trunkline", config), *kept, *more])


def hands(phone: str = PHONE, email: str = ADA) -> sending.Hands:
    """Ada."""

    def server(found: Mail) -> Server:
        return Server(host=found.server, port=int(found.port), security=found.security, timeout=5)

    party = Party(name="Ada", country="AU", email=email, phone=phone)
    mail = MailHands(None, lambda _conn, _account: party, server)
    return sending.Hands(mail, lambda found: Gateway.of(found, "s3cret", "signing"))


@pytest.fixture
def stage(database: Database) -> Stage:
    """An account that owes 86.90 by the 15th of January; nobody else's message waits."""
    with database.write() as conn:
        conn.execute(sa.delete(job))
        conn.execute(sa.delete(message))
        policies.store(conn, "told", POLICY)
    made = Stage(database, dunning_policy="told")
    made.add()
    run_billing(database, made.reader, START)
    return made


def live(stage: Stage, reader: MemoryReader, on: date, phone: str = PHONE, email: str = ADA) -> None:
    """A dunning run of a day, and the jobs that follow, at its noon in Perth."""

    @handles(queueing.SWEEP)
    @handles(queueing.SEND)
    def perform(database: Database, one: Any) -> None:
        sending.perform(database, one, reader, hands(phone, email))

    with clock.frozen(dt.datetime(on.year, on.month, on.day, 4, tzinfo=dt.UTC)):
        run_dunning(stage.database, reader, on)
        work(stage.database)


def work(database: Database) -> int:
    """Perform what is due."""
    return Worker(database, "test", [queueing.SWEEP, queueing.SEND]).run_until_idle()


def rows(stage: Stage, channel: str = "sms") -> list[Any]:
    """The stage's messages of a channel, the oldest first."""
    query = sa.select(message).where(message.c.account_id == stage.account, message.c.channel == channel)
    with stage.database.read() as conn:
        return list(conn.execute(query.order_by(message.c.made_on, message.c.id)).all())


def test_a_reminder_goes_as_a_text_message_once(stage: Stage, gateway):
    """JSON, signed, with an idempotency key; the log has neither number nor secret."""
    phones, url = gateway
    reader = a_reader(stage, url)
    for _ in range(2):
        live(stage, reader, date(2026, 1, 10))
    (one,) = rows(stage)
    assert (one.purpose, one.state, one.attempts) == ("reminder", "sent", 1)
    ((headers, body),) = phones.asked
    assert json.loads(body) == {
        "id": one.id, "to": "+61400555123", "from": "Trunkline",
        "text": f"Op Bcc: x@example.net: AUD 86.90 of invoice {stage.invoices()[0].number} is due on 2026-01-15. "
        "Paid already? Thank you, ignore this.",
    }  # fmt: skip
    assert (headers["Authorization"], headers["Idempotency-Key"]) == ("Bearer s3cret", one.id)
    digest = hmac.new(b"signing", body, hashlib.sha256).hexdigest()
    assert headers["X-Trunkline-Signature"] == f"sha256={digest}"
    assert "400555123" not in str(tuple(one))
    assert "s3cret" not in repr(hands().gateway(Sms(url=url, sender="T", since="2026-01-01")))


def test_steps_of_dunning_are_told_by_each_channel_once(stage: Stage, gateway, post):  # noqa: F811
    """SMS and mail leave; the letter waits for the printer; a second run tells nothing anew."""
    phones, url = gateway
    letters, port = post
    reader = a_reader(stage, url, port)
    for day in (18, 18, 19):
        live(stage, reader, date(2026, 1, day))
    assert [one["text"].split(" of ")[0] for one in phones.taken()] == ["Op Bcc: x@example.net: AUD 86.90"]
    assert "is overdue since 2026-01-15" in phones.taken()[0]["text"]
    (letter,) = letters.taken
    assert b"Subject: first: AUD 86.90 is overdue" in letter
    assert b"\nBcc:" not in letter
    assert [one.state for one in rows(stage, "e-mail")] == ["sent"]
    assert rows(stage, "letter") == []


def test_a_gateway_that_says_later_is_asked_later_with_the_same_key(stage: Stage, gateway):
    """Too many, broken, a refused login: again after a minute, then five; 409 means that it has it."""
    phones, url = gateway
    phones.said = [(429, "slow down +61400555123"), (503, "down"), (401, "who?"), (409, "duplicate")]
    live(stage, a_reader(stage, url), date(2026, 1, 10))
    assert (rows(stage)[0].state, rows(stage)[0].reply) == ("queued", "429 slow down (the number)")
    with clock.frozen(dt.datetime(2026, 1, 10, 4, 0, 30, tzinfo=dt.UTC)):
        assert work(stage.database) == 0
    for minutes in (2, 8, 25):
        with clock.frozen(dt.datetime(2026, 1, 10, 4, minutes, tzinfo=dt.UTC)):
            work(stage.database)
    (one,) = rows(stage)
    assert (one.state, one.reply, one.attempts) == ("sent", "409 duplicate", 4)
    assert {headers["Idempotency-Key"] for headers, _ in phones.asked} == {one.id}


def test_nobody_listens_for_days(stage: Stage):
    """It is given up and said so; a person sends it again."""
    reader = a_reader(stage, "http://127.0.0.1:9/")
    moment = dt.datetime(2026, 1, 10, 4, tzinfo=dt.UTC)
    live(stage, reader, date(2026, 1, 10))
    for hour in range(1, 80):
        with clock.frozen(moment + dt.timedelta(hours=hour)):
            work(stage.database)
    (one,) = rows(stage)
    assert one.state == "failed"
    assert one.reply == "given up after 9 tries: ConnectError at 127.0.0.1"
    with stage.database.write() as conn:
        sending.resend(conn, one.id, actor="anna")
        with pytest.raises(MessageUnknown, match="no message 'msg_none'"):
            sending.resend(conn, "msg_none", actor="anna")
    assert rows(stage)[0].state == "queued"


@pytest.mark.parametrize(("status", "state"), [(422, "bounced"), (400, "failed"), (302, "failed")])
def test_what_is_refused_for_good_is_not_tried_again(stage: Stage, gateway, status: int, state: str):
    """A number that is none, a message that is not liked; a redirect is followed by nobody."""
    phones, url = gateway
    phones.said = [(status, "no")]
    live(stage, a_reader(stage, url), date(2026, 1, 10))
    live(stage, a_reader(stage, url), date(2026, 1, 11))
    assert [(one.state, one.reply) for one in rows(stage)] == [(state, f"{status} no")]
    assert len(phones.asked) == 1


def test_what_is_paid_before_it_was_sent_is_dropped(stage: Stage, gateway):
    """Nobody is asked for what they have paid; nor reminded on or after the day."""
    phones, url = gateway
    live(stage, a_reader(stage), date(2026, 1, 10))
    assert [one.state for one in rows(stage)] == ["waiting"]
    with stage.database.write() as conn:
        payments.pay(conn, stage.account, Money(8690, "AUD"), "cash", stage.entity, on=date(2026, 1, 10))
    live(stage, a_reader(stage, url), date(2026, 1, 11))
    assert [(one.state, one.reply) for one in rows(stage)] == [("dropped", "nothing of it is owed any more")]
    assert phones.asked == []


def test_what_an_undone_run_had_to_say_is_dropped(stage: Stage, gateway):
    """It waited for the gateway when somebody took the run back."""
    phones, url = gateway
    live(stage, a_reader(stage), date(2026, 1, 18))
    with stage.database.read() as conn:
        (run,) = set(conn.execute(
            sa.select(dunning_notice.c.run_id).where(dunning_notice.c.account_id == stage.account)
        ).scalars())  # fmt: skip
    undoing.undo(stage.database, run, actor="anna")
    live(stage, a_reader(stage, url), date(2026, 1, 18))
    told = [(one.state, one.reply) for one in rows(stage) if one.purpose == "notice"]
    assert told == [("dropped", "its dunning run was undone")]
    assert phones.asked == []


def test_a_reminder_that_waited_until_the_day_is_dropped(stage: Stage, gateway):
    """The gateway was set up too late."""
    phones, url = gateway
    live(stage, a_reader(stage), date(2026, 1, 10))
    live(stage, a_reader(stage, url), DUE)
    assert [(one.state, one.reply) for one in rows(stage)] == [
        ("dropped", "2026-01-15 has come before it was sent")
    ]
    assert phones.asked == []


@pytest.mark.parametrize("phone", ["", "call me", "110"])
def test_without_a_usable_number_nothing_is_sent(stage: Stage, gateway, phone: str):
    """It stands in the log."""
    phones, url = gateway
    live(stage, a_reader(stage, url), date(2026, 1, 10), phone)
    assert [one.state for one in rows(stage)] == ["none"]
    assert phones.asked == []


def test_notices_from_before_are_not_sent(stage: Stage, gateway):
    """Those made before `since`."""
    phones, url = gateway
    live(stage, a_reader(stage), date(2026, 1, 18))
    live(stage, a_reader(stage, url, since="2026-01-19"), date(2026, 1, 19))
    assert phones.asked == []


@pytest.mark.parametrize("point", POINTS)
def test_killed_after_the_gateway_took_it(stage: Stage, gateway, point: str):
    """It is handed in once more under the same key, and the gateway knows it."""
    phones, url = gateway
    reader = a_reader(stage, url)
    with clock.frozen(dt.datetime(2026, 1, 10, 4, tzinfo=dt.UTC)):
        run_dunning(stage.database, reader, date(2026, 1, 10))
        queueing.sweep(stage.database, queueing.since_of(reader))
        (one,) = rows(stage)
        child = os.fork()
        if not child:
            stage.database.engine.dispose(close=False)
            os.environ |= {"TRUNKLINE_TEST_MODE": "1", "TRUNKLINE_FAULT": f"{point}:1:kill"}
            sending.deliver(stage.database, reader, hands(), one.id)
            os._exit(0)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        for _ in range(2):
            assert sending.deliver(stage.database, reader, hands(), one.id) == "sent"
    assert (len(phones.asked), len(phones.taken())) == (2, 1)


def test_an_own_template_says_it_and_one_that_fails_is_named(stage: Stage, gateway):
    """After the purpose or the step; the line is told; nothing is sent."""
    phones, url = gateway
    text = "Hey {{ buyer }}\n\nPay {{ amount }}\nby {{ due }}.\n"
    own = ("template", "message/reminder", Template(platform="message", name="reminder", source=Text(text)))
    live(stage, a_reader(stage, url, 0, "2026-01-01", own), date(2026, 1, 10))
    assert [one["text"] for one in phones.taken()] == ["Pay AUD 86.90 by 2026-01-15."]
    odd = Template(platform="message", name="first", source=Text("Hey\n\n{{ nothing.there }}"))
    reader = a_reader(stage, url, 0, "2026-01-01", ("template", "message/first", odd))
    with clock.frozen(dt.datetime(2026, 1, 18, 4, tzinfo=dt.UTC)):
        run_dunning(stage.database, reader, date(2026, 1, 18))
        queueing.sweep(stage.database, queueing.since_of(reader))
        with pytest.raises(TemplateFailed, match="message/first"):
            sending.deliver(stage.database, reader, hands(), rows(stage)[-1].id)
    assert len(phones.asked) == 1


@pytest.mark.parametrize("host", ["sms.example.net", "localhost.example.net", "127.0.0.1.example.net"])
def test_text_messages_do_not_go_in_clear(host: str):
    """HTTPS, or this machine; not one that is only called like it."""
    with pytest.raises(SmsNotUsable, match="is no https address"):
        Gateway.of(Sms(url=f"http://{host}/", sender="T", since="2026-01-01"), "", "")
    assert Gateway.of(Sms(url="http://127.0.0.1:8080/", sender="T", since="2026-01-01"), "", "").url


@pytest.mark.parametrize(
    ("phone", "number"),
    [("+61 400 555 123", "+61400555123"), ("0061-400-555-123", "+61400555123"), ("0400 555 123", "+61400555123"),
     ("61400555123", "+61400555123"), ("0011 977 123 4567", "+9771234567"), ("400555123", ""), ("000", ""), ("", "")],
)  # fmt: skip
def test_numbers_get_their_country(phone: str, number: str):
    """One without a country is the operator's where it begins as national numbers do."""
    assert sms.number_of(Gateway(url="", sender="", country="61"), phone) == number


def test_another_header_takes_the_token_as_it_is(gateway):
    """X-Api-Key, say."""
    phones, url = gateway
    phones.said = [(200, ""), (500, "x"), (403, "y"), (413, "z")]
    one = Gateway(url=url, sender="T", header="X-Api-Key", token="abc")
    assert sms.send(one, "k", "+1", "t" * 1000) == "200"
    assert phones.asked[0][0]["X-Api-Key"] == "abc"
    assert "X-Trunkline-Signature" not in phones.asked[0][0]
    assert len(json.loads(phones.asked[0][1])["text"]) == sms.LONGEST
    for _ in range(2):
        with pytest.raises(NotNow):
            sms.send(one, "k", "+1", "t")
    with pytest.raises(Refused, match="413"):
        sms.send(one, "k", "+1", "t")
