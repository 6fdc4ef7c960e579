"""Exemptions, surcharges, rates with effective dates, and tax engines that are slow, wrong or away."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from billing import invoices, parked, subscriptions, taxes
from billing.bill import Line
from billing.billrun import run_billing
from billing.papers.making import paper_of
from billing.papers.parties import Party
from billing.runs import plain
from billing.runs.rehearsal import rehearse
from billing.runs.verify import breaches
from billing.tax import Rate
from billing.taxing import asking, exemptions, surcharges
from billing.taxing.engines import HttpEngine, Question
from billing.taxing.errors import EngineNotUsable, EngineSilent, ExemptionNotUsable, SurchargeNotUsable
from billing.taxing.exemptions import Exemption, in_force
from billing.taxing.models import tax_answer
from billing.taxing.surcharges import Surcharge
from core.db import Database
from core.jobs import Worker
from core.models import job
from core.money import Money
from tests.billing.stage import START, Stage

FEB, MARCH = date(2026, 2, 1), date(2026, 3, 1)
POINTS = ["billing.tax_answered"]


def totals(stage: Stage) -> list[tuple[int, int]]:
    """Net and tax of its documents."""
    return [(row.net, row.tax) for row in stage.invoices()]


def exempt(stage: Stage, since: date, until: date | None = None, **given: Any) -> None:
    """Exempt the stage's account."""
    with stage.database.write() as conn:
        one = Exemption(account=stage.account, since=since, until=until, **{"code": "E", **given})
        exemptions.grant(conn, one, actor="anna")


def test_a_new_rate_counts_from_its_day_on(database: Database):
    """The day before it the old one, on it the new one; what is taken back has the old one."""
    stage = Stage(database)
    service = stage.add()
    with database.write() as conn:
        taxes.set_rate(conn, "gst", "15%", profile=stage.entity, valid_from=FEB)
    run_billing(database, stage.reader, FEB - timedelta(days=1))
    run_billing(database, stage.reader, FEB)
    assert totals(stage) == [(7900, 790), (7900, 1185)]
    with database.write() as conn:
        subscriptions.cease(conn, service, date(2026, 1, 16), "test")
    run_billing(database, stage.reader, FEB)
    with database.read() as conn:
        found = {
            (one["millionths"], one["base"]): one["tax"]
            for one in invoices.tax_subtotals(conn, stage.invoices()[-1].id)
        }
    assert found == {(100_000, -4077): -408, (150_000, -7900): -1185}  # 15 of January's 31 days stay at 10%


def test_an_exemption_in_the_middle_of_a_month_counts_for_the_next_bill(database: Database):
    """From its day until the day before its end; then taxed again; the way in SQL knows it too."""
    stage = Stage(database)
    stage.add()
    exempt(stage, date(2026, 1, 15), MARCH, certificate="X-77")
    for on in (START, FEB, MARCH):
        run_billing(database, stage.reader, on)
    assert totals(stage) == [(7900, 790), (7900, 0), (7900, 790)]
    assert not list(breaches(database))


def test_an_exempt_invoice_says_why_and_stays_so(database: Database):
    """Code, reason and certificate of its own day, whatever was said later."""
    stage = Stage(database)
    stage.add()
    exempt(stage, START, code="AE", certificate="DE123")
    run_billing(database, stage.reader, START)
    with database.write() as conn:
        exemptions.end(conn, stage.account, START, actor="anna")
    with database.read() as conn:
        row = invoices.get(conn, stage.invoices()[0].id)
        (tax,) = paper_of(conn, stage.reader, None, row, lambda _conn, _account: Party(name="x")).taxes
    assert (tax.code, tax.reason, tax.tax.minor) == ("AE", "Reverse charge (certificate DE123)", 0)


days = st.dates(date(2026, 1, 1), date(2026, 1, 9))
said = st.builds(Exemption, account=st.just("A"), since=days, until=st.none() | days, code=st.sampled_from(["E", "S"]),
                 category=st.sampled_from(["", "gst", "vat"]))  # fmt: skip


@given(st.lists(said, max_size=5), days)
def test_the_last_word_on_a_day_counts(found: list[Exemption], on: date):
    """Of those that say something of the category on the day, the newest; by a model that goes forward."""
    wanted = None
    for one in found:
        inside = one.since <= on and (one.until is None or on < one.until)
        if inside and one.category in ("", "gst"):
            wanted = one if one.code == "E" else None
    assert in_force(found, "gst", on) == wanted


def test_an_exemption_makes_sense(database: Database):
    """Or it is refused in one sentence."""
    stage = Stage(database)
    with pytest.raises(ExemptionNotUsable, match="'Q' is none of AE, E, G, O, S, Z"):
        exempt(stage, START, code="Q")
    with pytest.raises(ExemptionNotUsable, match="it ends on 2026-01-01, before it begins on 2026-02-01"):
        exempt(stage, FEB, START)


def surcharge(stage: Stage, **given: Any) -> None:
    """Have a surcharge for the stage's profile."""
    values = {"profile": stage.entity, "name": "usf", "since": START, "label": "Universal service",
              "kinds": ("recurring",), "millionths": 52_000}  # fmt: skip
    with stage.database.write() as conn:
        surcharges.keep(conn, Surcharge(**{**values, **given}))


def test_surcharges_stand_beside_their_lines_and_go_with_them(database: Database):
    """A part of each line, half-up, taxed or not; taken back to the cent with what bore them."""
    stage = Stage(database)
    service = stage.add()
    surcharge(stage)
    surcharge(stage, name="safety", label="Emergency calls", millionths=0, fixed=Money(50, "AUD"), tax="gst")
    run_billing(database, stage.reader, START)
    with database.read() as conn:
        found = [(one["kind"], one["net"]) for one in invoices.lines(conn, stage.invoices()[0].id)]
    assert found == [("recurring", 7900), ("surcharge", 50), ("surcharge", 411)]  # 79.00 x 5.2% = 4.108
    assert totals(stage) == [(8361, 795)]
    surcharge(stage, millionths=90_000, since=date(2026, 1, 5))
    with database.write() as conn:
        subscriptions.cease(conn, service, START, "test")
    run_billing(database, stage.reader, date(2026, 1, 6))
    assert totals(stage)[-1] == (-8361, -795)
    assert not list(breaches(database))


def test_a_surcharge_ends_and_accounts_of_other_profiles_stay_quick(database: Database, monkeypatch):
    """From its day on nothing is added; who has no surcharge renews in SQL."""
    stage, other = Stage(database), Stage(database)
    stage.add()
    other.add()
    surcharge(stage)
    surcharge(stage, millionths=0, since=MARCH)
    odd: list[str] = []
    real = plain.bill_plain

    def spy(*args: Any) -> plain.Plain:
        done = real(*args)
        odd[:] = done.odd
        return done

    monkeypatch.setattr(plain, "bill_plain", spy)
    for on in (START, FEB, MARCH):
        run_billing(database, stage.reader, on)
    assert odd == [stage.account]
    assert [net for net, _ in totals(stage)] == [8311, 8311, 7900]
    assert [net for net, _ in totals(other)] == [7900, 7900, 7900]


@given(st.integers(-(10**7), 10**7), st.integers(1, 10**6))
def test_a_surcharge_is_exact(minor: int, millionths: int):
    """Half-up of the line's amount, and the same taken back with the sign turned."""
    one = Surcharge(profile="p", name="n", since=START, label="L", kinds=("usage",), millionths=millionths)
    rates = {"": Rate("", 0)}

    def of(amount: int) -> int:
        line = Line(description="x", amount=Money(amount, "AUD"), rate=rates[""], kind="usage")
        return sum(added.amount.minor for added in surcharges.lines(line, [one], rates))

    assert of(-minor) == -of(minor)
    assert abs(2 * (of(minor) * 10**6 - minor * millionths)) <= 10**6


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"kinds": ("nonsense",)}, "'nonsense' is no kind of line"),
        ({"kinds": ("surcharge",)}, "a surcharge bears no surcharge"),
        ({"fixed": Money(1, "AUD")}, "a percentage or a fixed amount, not both"),
        ({"millionths": 0, "fixed": Money(-1, "AUD")}, "below zero"),
    ],
)
def test_a_surcharge_makes_sense(database: Database, wrong, told):
    """Or it is refused in one sentence."""
    with pytest.raises(SurchargeNotUsable, match=told):
        surcharge(Stage(database), **wrong)


class _Engine(BaseHTTPRequestHandler):
    """A tax engine that does as it is told: (status, body) one after the other, the last one for ever."""

    script: list[tuple[int, bytes]] = []
    asked: list[dict[str, Any]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        _Engine.asked.append({**json.loads(body), "token": self.headers.get("Authorization")})
        status, text = _Engine.script.pop(0) if len(_Engine.script) > 1 else _Engine.script[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_args: Any) -> None:
        """Quiet."""


@pytest.fixture
def engine() -> Iterator[str]:
    """A running engine's address."""
    server = HTTPServer(("127.0.0.1", 0), _Engine)
    _Engine.script, _Engine.asked = [(200, b'{"rate_millionths": 88750, "reference": "r1"}')], []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/rates"
    server.shutdown()
    server.server_close()
    thread.join()


def place(_database: Database, _account: str) -> dict[str, str]:
    """Where invoices go."""
    return {"country": "US", "postcode": "10001"}


def use(stage: Stage, url: str, fallback: str = "park") -> None:
    """Let the engine say the stage's rates."""
    with stage.database.write() as conn:
        asking.use(
            conn, stage.entity, "http", {"url": url, "token": "sealed"}, fallback=fallback, actor="anna"
        )
    asking.register(place, lambda text, profile: f"clear {text} of {profile}")


def work(database: Database) -> int:
    """Perform the questions that are due."""
    return Worker(database, "test", [asking.KIND]).run_once()


def test_a_run_waits_for_the_engine_and_bills_at_its_word(database: Database, engine: str):
    """Parked and named, asked by a job, billed by the next run; asked once; a dry run is the real one."""
    stage = Stage(database)
    stage.add()
    use(stage, engine)
    rehearsed = rehearse(database, stage.reader, START)
    assert _Engine.asked == []
    run = run_billing(database, stage.reader, START)
    assert rehearsed.parked == run.parked
    assert "tax engine 'http' has not said its rate for 'gst' on 2026-01-01" in run.parked[stage.account]
    run_billing(database, stage.reader, START)
    assert work(database) == 1
    run_billing(database, stage.reader, START)
    assert totals(stage) == [(7900, 701)]  # 79.00 x 8.875% = 7.01125
    with database.read() as conn:
        assert stage.account not in parked.reasons(conn)
    (asked,) = _Engine.asked
    assert (asked["country"], asked["category"], asked["token"]) == (
        "US", "gst", f"Bearer clear sealed of {stage.entity}",
    )  # fmt: skip


def test_what_is_taken_back_has_the_rate_that_the_engine_gave(database: Database, engine: str):
    """Whatever it says by then."""
    stage = Stage(database)
    service = stage.add()
    use(stage, engine)
    run_billing(database, stage.reader, START)
    work(database)
    run_billing(database, stage.reader, START)
    _Engine.script = [(200, b'{"rate_millionths": 999}')]
    with database.write() as conn:
        subscriptions.cease(conn, service, START, "test")
    run_billing(database, stage.reader, date(2026, 1, 3))
    assert totals(stage) == [(7900, 701), (-7900, -701)]


def test_an_engine_that_is_away_is_asked_again(database: Database, engine: str):
    """The account stays parked; with the fallback `rates` it is billed at the table's rate at once."""
    stage, other = Stage(database), Stage(database)
    stage.add()
    other.add()
    use(stage, engine)
    use(other, engine, "rates")
    _Engine.script = [(503, b""), (200, b'{"rate_millionths": 1}')]
    run_billing(database, stage.reader, START)
    assert totals(other) == [(7900, 790)]
    work(database)
    with database.read() as conn:
        (row,) = conn.execute(sa.select(job).where(job.c.kind == asking.KIND)).all()
    assert (row.state, row.attempts) == ("queued", 1)
    assert "did not answer: status 503" in row.last_error
    with database.write() as conn:
        conn.execute(sa.update(job).values(run_at=row.created_at))
    work(database)
    run_billing(database, stage.reader, START)
    assert totals(stage) == [(7900, 0)]


@pytest.mark.parametrize(
    ("said", "error", "told"),
    [
        ((500, b""), EngineSilent, "status 500"),
        ((429, b""), EngineSilent, "status 429"),
        ((404, b""), EngineNotUsable, "refuses the question with status 404"),
        ((200, b"<html>"), EngineNotUsable, "not understood"),
        ((200, b'{"rate_millionths": -1}'), EngineNotUsable, "-1 millionths is no rate"),
    ],
)
def test_a_bad_answer_is_told(engine: str, said, error, told):
    """Whether asking again can help is known by its kind."""
    _Engine.script = [said]
    question = Question(account="A", profile="p", category="gst", on=START, currency="AUD")
    with pytest.raises(error, match=told):
        HttpEngine({"url": engine}).rate(question)


def test_an_engine_that_nobody_listens_for(engine: str):
    """No connection may come back; no https is a mistake."""
    question = Question(account="A", profile="p", category="gst", on=START, currency="AUD")
    with pytest.raises(EngineSilent, match="ConnectError"):
        HttpEngine({"url": "http://127.0.0.1:9/"}).rate(question)
    with pytest.raises(EngineNotUsable, match="is no https address"):
        HttpEngine({"url": "http://tax.example.net/"})


@pytest.mark.parametrize("point", POINTS)
def test_killed_while_the_answer_is_kept(database: Database, engine: str, point: str):
    """Nothing is half kept; asked again, there is one answer."""
    stage = Stage(database)
    stage.add()
    use(stage, engine)
    child = os.fork()
    if not child:
        database.engine.dispose(close=False)
        os.environ |= {"TRUNKLINE_TEST_MODE": "1", "TRUNKLINE_FAULT": f"{point}:1:kill"}
        asking.ask(database, stage.account, "gst", START, place, lambda text, _: text)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    for _ in range(2):
        assert asking.ask(database, stage.account, "gst", START, place, lambda text, _: text)
    with database.read() as conn:
        mine = tax_answer.c.account_id == stage.account
        assert len(conn.execute(sa.select(tax_answer).where(mine)).all()) == 1
