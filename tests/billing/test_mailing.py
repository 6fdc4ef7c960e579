"""Mail through a real SMTP server that misbehaves: sent once, again later, bounced, and never half."""

import datetime as dt
import os
import signal
import socket
import ssl
from collections.abc import Iterator
from datetime import date
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from billing.billrun import run_billing
from billing.mailing import letters, sending, smtp
from billing.mailing.errors import MailUnknown, NotNow, Refused
from billing.mailing.models import mail
from billing.mailing.sending import Hands
from billing.mailing.smtp import Server
from billing.papers.parties import Party
from core import clock
from core.db import Database
from core.jobs import Worker, handles
from core.models import job
from intents.config.schema import Config, Entity, Mail, Operator
from intents.reader import MemoryReader
from tests.billing.stage import START, Stage, reader_of

POINTS = ["billing.mail_accepted"]
ADA = "ada@example.net"


class Post:
    """What the server does: answers by SMTP command, letters that it took."""

    def __init__(self) -> None:
        self.said: dict[str, list[str]] = {"MAIL": [], "RCPT": [], "DATA": []}
        self.taken: list[bytes] = []

    def _next(self, verb: str) -> str:
        return self.said[verb].pop(0) if self.said[verb] else "250 OK"

    async def handle_MAIL(self, _server, _session, envelope, address, options) -> str:
        if (told := self._next("MAIL")).startswith("250"):
            envelope.mail_from, envelope.mail_options = address, options
        return told

    async def handle_RCPT(self, _server, _session, envelope, address, _options) -> str:
        if (told := self._next("RCPT")).startswith("250"):
            envelope.rcpt_tos.append(address)
        return told

    async def handle_DATA(self, _server, _session, envelope) -> str:
        if (told := self._next("DATA")).startswith("250"):
            self.taken.append(envelope.content)
        return told


def _free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def post() -> Iterator[tuple[Post, int]]:
    """A server in a thread."""
    made = Post()
    port = _free_port()
    controller = Controller(made, hostname="127.0.0.1", port=port)
    controller.start()
    yield made, port
    controller.stop()


def a_reader(stage: Stage, port: int, since: str = "2026-01-01") -> MemoryReader:
    """With a mail server."""
    config = Config(
        schema=1, operator=Operator(name="Op", timezone="UTC", currency="AUD"),
        entities={stage.entity: Entity(name="Op\nBcc: x@example.net", country="AU", registration="ABN 1")},
        mail=Mail(server="127.0.0.1", port=port, security="none", sender="billing@example.net", since=since),
    )  # fmt: skip
    base = reader_of(stage.services)
    kept = [(kind, known, value) for kind in ("service", "plan") for known, value in base.all(kind)]
    return MemoryReader.of([("config", "trunkline", config), *kept])


def hands(email: str = ADA) -> Hands:
    """Ada, through the server as it is set."""

    def server(found: Mail) -> Server:
        return Server(host=found.server, port=int(found.port), security=found.security, timeout=5)

    return Hands(None, lambda _conn, _account: Party(name="Ada", country="AU", email=email), server)


@pytest.fixture
def stage(database: Database) -> Stage:
    """An account to be billed; nobody else's document waits."""
    with database.write() as conn:
        conn.execute(sa.delete(job))
    made = Stage(database)
    made.add()
    return made


def bill(stage: Stage, port: int, email: str = ADA) -> MemoryReader:
    """Bill it with mail set up, and let jobs run."""
    reader = a_reader(stage, port)
    run_billing(stage.database, reader, START)

    @handles(sending.SWEEP)
    @handles(sending.SEND)
    def perform(database: Database, one: Any) -> None:
        sending.perform(database, one, reader, hands(email))

    return reader


def work(database: Database) -> int:
    """Perform what is due."""
    return Worker(database, "test", [sending.SWEEP, sending.SEND]).run_until_idle()


def state(stage: Stage) -> Any:
    """The stage's row of the delivery log."""
    with stage.database.read() as conn:
        (row,) = conn.execute(sa.select(mail).where(mail.c.account_id == stage.account)).all()
    return row


def mine(stage: Stage, post: Post) -> list[Any]:
    """The stage's letters that the server took."""
    number = stage.invoices()[0].number
    read = [message_from_bytes(one, policy=policy.default) for one in post.taken]
    return [one for one in read if number in one["Subject"]]


def test_a_run_sends_each_document_once(database: Database, stage: Stage, post):
    """Text, HTML, PDF and e-invoice; a second run sends nothing; a name cannot begin a header."""
    taken, port = post
    reader = bill(stage, port)
    work(database)
    run_billing(database, reader, START)
    work(database)
    (letter,) = mine(stage, taken)
    row = state(stage)
    assert (row.state, row.attempts, row.reply) == ("sent", 1, "250 OK")
    assert (letter["To"], letter["Message-ID"], letter["Bcc"]) == (ADA, row.message_id, None)
    parts = {part.get_content_type(): part for part in letter.walk()}
    assert {"text/plain", "text/html", "application/pdf", "application/xml"} <= set(parts)
    assert "AUD 86.90" in parts["text/plain"].get_content()
    assert parts["application/pdf"].get_content().startswith(b"%PDF")
    assert b"CrossIndustryInvoice" in parts["application/xml"].get_content()
    assert "ada" not in str(tuple(row))


def test_a_server_that_says_later_is_asked_later(database: Database, stage: Stage, post):
    """Greylisting, a full disk: again after a minute, then five; one letter in the end."""
    taken, port = post
    taken.said["RCPT"] = ["451 4.7.1 greylisted, ada@example.net"]
    taken.said["DATA"] = ["452 4.3.1 disk full"]
    with clock.frozen(dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)):
        bill(stage, port)
        work(database)
        assert (state(stage).state, state(stage).reply) == ("queued", "451 4.7.1 greylisted, (the address)")
        assert work(database) == 0
    with clock.frozen(dt.datetime(2026, 1, 1, 12, 1, 1, tzinfo=dt.UTC)):
        work(database)
        assert (state(stage).reply, state(stage).attempts) == ("452 4.3.1 disk full", 2)
    with clock.frozen(dt.datetime(2026, 1, 1, 12, 7, tzinfo=dt.UTC)):
        work(database)
    assert (state(stage).state, len(mine(stage, taken))) == ("sent", 1)


def test_nobody_listens_for_days(database: Database, stage: Stage):
    """It is given up after five days, and said so; a person may begin anew."""
    moment = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
    for day in range(8):
        with clock.frozen(moment + dt.timedelta(days=day)):
            if not day:
                bill(stage, 9)
            for _ in range(20):
                work(database)
                _due_now(database, moment + dt.timedelta(days=day))
    assert state(stage).state == "failed"
    assert state(stage).reply == "given up after 11 tries: ConnectionRefusedError at 127.0.0.1:9"


def _due_now(database: Database, moment: dt.datetime) -> None:
    """Let what waits for at most a day be due."""
    with database.write() as conn:
        soon = job.c.run_at <= moment + dt.timedelta(days=1)
        conn.execute(sa.update(job).where(job.c.kind == sending.SEND, soon).values(run_at=moment))


def test_an_address_that_is_refused_bounces_and_is_left_alone(database: Database, stage: Stage, post):
    """No second try, nor for the next document; resending by a person tries again."""
    taken, port = post
    taken.said["RCPT"] = ["550 5.1.1 no such user ada@example.net"]
    reader = bill(stage, port)
    work(database)
    assert (state(stage).state, state(stage).reply) == ("bounced", "550 5.1.1 no such user (the address)")
    run_billing(database, reader, date(2026, 2, 1))
    work(database)
    with database.read() as conn:
        rows = sending.log(conn, account=stage.account)
        assert [row.state for row in rows] == ["bounced", "bounced"]
        assert [row.id for row in sending.log(conn, "sent", stage.account)] == []
    assert mine(stage, taken) == []
    with database.write() as conn:
        sending.resend(conn, stage.invoices()[0].number, actor="anna")
        with pytest.raises(MailUnknown, match="no mail about 'INV-nowhere'"):
            sending.resend(conn, "INV-nowhere", actor="anna")
    work(database)
    assert len(mine(stage, taken)) == 1


def test_a_letter_that_is_refused_is_no_bounce(database: Database, stage: Stage, post):
    """The address is fine; the next document is tried."""
    taken, port = post
    taken.said["DATA"] = ["554 5.7.1 message looks like spam"]
    reader = bill(stage, port)
    work(database)
    assert (state(stage).state, state(stage).reply) == ("failed", "554 5.7.1 message looks like spam")
    run_billing(database, reader, date(2026, 2, 1))
    work(database)
    with database.read() as conn:
        assert {row.state for row in sending.log(conn, account=stage.account)} == {"failed", "sent"}


@pytest.mark.parametrize(("email", "found"), [("", "none"), ("no address\r\nat all", "failed")])
def test_without_a_usable_address_nothing_is_sent(database: Database, stage: Stage, post, email, found):
    """It stands in the log."""
    taken, port = post
    bill(stage, port, email)
    work(database)
    assert state(stage).state == found
    assert taken.taken == []


def test_documents_from_before_are_not_sent(database: Database, stage: Stage, post):
    """Those issued before `since`."""
    taken, port = post
    run_billing(database, a_reader(stage, port, since="2026-01-02"), START)
    with database.read() as conn:
        assert sending.log(conn, account=stage.account) == []
    assert sending.sweep(database, Mail(server="x", sender="b@example.net", since="2999-01-01")) == 0
    assert taken.taken == []


@pytest.mark.parametrize("point", POINTS)
def test_killed_after_the_server_took_it(database: Database, stage: Stage, post, point: str):
    """The letter goes once more with the same Message-ID: its reader can tell."""
    taken, port = post
    reader = bill(stage, port)
    with database.read() as conn:
        assert conn.execute(sa.select(job.c.kind)).scalars().all() == [sending.SWEEP]
    sending.sweep(database, sending.setting(reader))  # type: ignore[arg-type]
    child = os.fork()
    if not child:
        database.engine.dispose(close=False)
        os.environ |= {"TRUNKLINE_TEST_MODE": "1", "TRUNKLINE_FAULT": f"{point}:1:kill"}
        sending.deliver(database, reader, hands(), stage.invoices()[0].id)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    for _ in range(2):
        assert sending.deliver(database, reader, hands(), stage.invoices()[0].id) == "sent"
    assert [one["Message-ID"] for one in mine(stage, taken)] == [state(stage).message_id] * 2


def _certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(days=1))
    made = made.not_valid_after(now + dt.timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    signed = made.sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    clear = serialization.NoEncryption()
    (folder / "cert.pem").write_bytes(signed.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, clear))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return server, ssl.create_default_context(cafile=str(folder / "cert.pem"))


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_login_goes_over_tls_only(tmp_path: Path, security: str):
    """STARTTLS and TLS from the start; who is not trusted hears nothing; a wrong login is tried again later."""
    inside, trust = _certificate(tmp_path)
    made, logins = Post(), []

    def authenticator(_server, _session, _envelope, _mechanism, data) -> AuthResult:
        logins.append(data.login)
        return AuthResult(success=data.password == b"right", handled=False)

    more: dict[str, Any] = (
        {"ssl_context": inside} if security == "tls" else {"tls_context": inside, "require_starttls": True}
    )
    port = _free_port()
    controller = Controller(
        made,
        hostname="localhost",
        port=port,
        authenticator=authenticator,
        auth_require_tls=security != "tls",
        **more,
    )
    controller.start()
    try:
        server = Server(
            host="localhost", port=port, security=security, user="u", password="right", trust=trust
        )
        letter = _letter()
        assert smtp.send(server, letter, "billing@example.net", ADA).startswith("250")
        wrong = Server(host="localhost", port=port, security=security, user="u", password="no", trust=trust)
        with pytest.raises(NotNow, match="the login of u is refused"):
            smtp.send(wrong, letter, "billing@example.net", ADA)
        seen = len(logins)
        stranger = Server(host="localhost", port=port, security=security, user="u", password="right")
        with pytest.raises(NotNow, match="SSLCertVerificationError"):
            smtp.send(stranger, letter, "billing@example.net", ADA)
        assert len(logins) == seen
        assert "right" not in repr(server)
        assert len(made.taken) == 1
    finally:
        controller.stop()


def test_a_server_without_tls_hears_no_password(post):
    """STARTTLS is wanted and not offered: nothing is said."""
    _, port = post
    server = Server(host="127.0.0.1", port=port, security="starttls", user="u", password="right")
    with pytest.raises(NotNow, match="SMTPNotSupportedError"):
        smtp.send(server, _letter(), "billing@example.net", ADA)


def test_a_sender_that_is_refused_is_no_bounce(post):
    """It is our address, not theirs."""
    taken, port = post
    taken.said["MAIL"] = ["553 5.1.8 sender unknown"]
    with pytest.raises(Refused, match="553") as told:
        smtp.send(Server(host="127.0.0.1", port=port, security="none"), _letter(), "billing@example.net", ADA)
    assert not told.value.recipient


def test_letters_speak_the_sellers_language():
    """Each has a subject, a greeting and an end."""
    assert {len(one) for one in letters.LETTERS.values()} == {6}
    assert letters.message_id("i", "document", "b@example.net") == letters.message_id(
        "i", "document", "b@example.net"
    )
    assert letters.message_id("i", "document", "b@x.org") != letters.message_id("j", "document", "b@x.org")


def _letter():
    from email.message import EmailMessage

    made = EmailMessage()
    made["Subject"] = "x"
    made.set_content("y\n")
    return made
