"""Calls: taken in once, priced by the longest prefix, billed with each accounted for, corrected when they come late."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from billing.billrun import run_billing
from billing.calls import decks, importing, listing, numbers, rating
from billing.calls.decks import CallRate, Deck
from billing.calls.errors import ColumnsMissing, DeckNotUsable, NumberTaken
from billing.calls.importing import Shape
from billing.calls.models import call_record
from billing.calls.rating import Call, CallPrice, priced, total
from billing.explain import explain
from billing.models import billable
from billing.rating import told
from billing.rating.running import rate, unpriced
from core import faults
from core.db import Database
from intents import loader
from intents.plan.schema import Calls, Plan
from intents.reader import MemoryReader
from tests.billing.stage import Stage, price, reader_of

FEB, MAR = date(2026, 2, 1), date(2026, 3, 1)
DECK = """\
prefix,destination,per_minute,connection,first,step
61,Australia,0.02,0,1,1
614,Australia mobile,0.12,0.05,30,6
+49,Germany,0.0125,0.10,60,60
"""


@pytest.mark.parametrize(
    ("seconds", "first", "step", "billed"),
    [
        (0, 60, 60, 0),
        (1, 60, 60, 60),
        (60, 60, 60, 60),
        (61, 60, 60, 120),
        (29, 30, 6, 30),
        (31, 30, 6, 36),
        (7, 1, 1, 7),
    ],
)
def test_increments(seconds: int, first: int, step: int, billed: int) -> None:
    """60/60, 30/6, 1/1; a call that nobody answered is nothing."""
    assert CallRate("1", "x", Fraction(1), Fraction(0), first, step).billed(seconds) == billed


@given(
    st.dictionaries(st.text("0123456789", min_size=1, max_size=5), st.integers(0, 9)),
    st.text("0123456789", min_size=6, max_size=9),
)
def test_the_longest_prefix_prices(given_rates: dict[str, int], number: str) -> None:
    """As one finds by trying all."""
    rates = {
        prefix: CallRate(prefix, prefix, Fraction(value), Fraction(0), 1, 1)
        for prefix, value in given_rates.items()
    }
    fits = [prefix for prefix in rates if number.startswith(prefix)]
    found = Deck({FEB: rates}).rate(number, FEB)
    assert (found and found.prefix) == (max(fits, key=len) if fits else None)
    assert Deck({FEB: rates}).rate(number, FEB - timedelta(1)) is None


@given(st.lists(st.integers(0, 400), max_size=12), st.integers(0, 900))
def test_what_is_included_is_talked_once(seconds: list[int], included: int) -> None:
    """Free seconds are at most what is included, and what is not free is paid for in full."""
    rate_ = CallRate("61", "AU", Fraction("0.6"), Fraction(0), 1, 1)
    calls = [
        Call(str(n), FEB, datetime(2026, 2, 1, tzinfo=UTC), "61", length) for n, length in enumerate(seconds)
    ]
    every = priced(CallPrice("d"), Deck({FEB: {"61": rate_}}), calls, included)
    assert sum(one.free for one in every) == min(included, sum(seconds))
    assert sum(one.cost for one in every) == Fraction("0.01") * max(0, sum(seconds) - included)


def test_a_sum_is_rounded_once() -> None:
    """Ten calls of 0.4 cents are 4 cents."""
    rate_ = CallRate("61", "AU", Fraction("0.24"), Fraction(0), 1, 1)
    calls = [Call(str(n), FEB, datetime(2026, 2, 1, tzinfo=UTC), "61", 1) for n in range(10)]
    assert total(priced(CallPrice("d"), Deck({FEB: {"61": rate_}}), calls, 0), "AUD").minor == 4


VOICE = Plan(
    type="voice",
    name="Voice",
    prices=(price("v1", "10.00", calls=Calls(deck="std", included="2m", to=("61",))),),
)
_HEAD = "id,caller,callee,started,seconds\n"


class _Talking(Stage):
    """A voice service with a number, and a deck."""

    def __init__(self, database: Database, tmp: Path) -> None:
        super().__init__(database)
        self.tmp = tmp
        self.phone = f"6185{self.number:07}"
        self.service = self.add(plan="voice")
        with database.write() as conn:
            numbers.assign(conn, self.service, self.phone, date(2026, 1, 1), "test")
            decks.load(conn, "std", date(2025, 1, 1), self.file("deck.csv", DECK))

    @property
    def reader(self) -> MemoryReader:
        """With the voice plan."""
        return reader_of(self.services, {"voice": VOICE})

    def file(self, name: str, text: str) -> Path:
        """A file."""
        path = self.tmp / name
        path.write_text(text, encoding="utf-8")
        return path

    def heard(self, *rows: str, name: str = "cdr.csv") -> importing.Imported:
        """A carrier's file; `@` stands for the number."""
        text = _HEAD + "".join(row.replace("@", "+" + self.phone) + "\n" for row in rows)
        return importing.read(
            self.database, self.file(name, text), Shape(carrier=f"c{self.number}", country="61")
        )

    def billed(self) -> list[Any]:
        """Its usage billables."""
        query = sa.select(billable).where(billable.c.account_id == self.account, billable.c.kind == "usage")
        return self._rows(query.order_by(billable.c.revision))


def test_a_month_of_calls_is_on_the_bill_with_each_destination(database: Database, tmp_path: Path) -> None:
    """Two minutes to Australia are included; the line says how it came about."""
    stage = _Talking(database, tmp_path)
    done = stage.heard(
        "1,@,+61812345678,2026-01-05T10:00:00+08:00,100",
        "2,@,0412345678,2026-01-06T10:00:00+08:00,40",
        "3,@,+4930123456,2026-01-07 03:00:00,61",
        "4,@,+1212555000,2026-01-08T10:00:00Z,600",
        "5,@,+61812345678,2026-01-31T17:00:00Z,600",
    )
    assert (done.lines, done.new, done.rejected) == (5, 5, ())
    (change,) = rate(database, stage.reader, FEB).changes
    # 100 s and 20 of 42 s free; mobile 22 s at 0.12 a minute + 0.05; Germany 2 minutes at 0.0125 + 0.10
    assert (change.used, str(change.amount)) == (801, "AUD 0.22")
    (row,) = stage.billed()
    assert row.why["Germany"] == "1 x, 2 min billed, AUD 0.13"
    assert row.why["not billed"] == "1 calls to numbers that the deck has no price for"
    run_billing(database, stage.reader, FEB)
    with database.read() as conn:
        said = explain(conn, stage.invoices()[-1].id)
    assert any("Voice: 4 calls, 13 min 21 s" in line["what"] for line in said["lines"])


def test_service_numbers_of_a_country_are_not_priced_as_another_countrys(
    database: Database, tmp_path: Path
) -> None:
    """Whoever called 13 11 26 or 1300 123 456 in Australia called no one in America, whatever the deck begins with."""
    stage = _Talking(database, tmp_path)
    deck = stage.file("deck.csv", DECK + "1,US,5,5,60,60\n977,Nepal,1,0,60,60\n")
    with database.write() as conn:
        decks.load(conn, "std", date(2025, 1, 1), deck)
    called = ("0011977123456", "1300123456", "131126", "000")
    done = stage.heard(*(f"{n},@,{one},2026-01-05T10:00:00Z,60" for n, one in enumerate(called)))
    assert (done.new, done.rejected, done.local) == (4, (), ("000", "1300123456", "131126"))
    rate(database, stage.reader, FEB)
    (row,) = stage.billed()
    assert row.why["Nepal"] == "1 x, 1 min billed, AUD 1.00"
    assert row.why["not billed"] == "3 calls to numbers that the deck has no price for"
    assert "US" not in row.why
    done = stage.heard("9,855501234,+61812345678,2026-01-05T10:00:00Z,60", name="local.csv")
    assert [one.line for one in done.rejected] == [2]


def test_a_file_twice_and_a_call_in_two_files_add_nothing(database: Database, tmp_path: Path) -> None:
    """By the carrier's id; without one by all of the line (invariant 36)."""
    stage = _Talking(database, tmp_path)
    rows = ("1,@,+61812345678,1767600000,100", ",@,+61812345679,1767600000,100")
    assert stage.heard(*rows).new == 2
    again = stage.heard(*rows)
    assert (again.new, again.known) == (0, 2)
    assert stage.heard(rows[0], "2,@,+61812345678,1767600000,5", name="other.csv").new == 1


def test_of_two_records_with_one_id_the_first_counts_and_the_other_is_named(
    database: Database, tmp_path: Path
) -> None:
    """In one file, in two, and in two batches of one: whoever cut the file decides nothing."""
    stage = _Talking(database, tmp_path)
    first, second = "1,@,+61812345678,1767600000,100", "1,@,+61812345678,1767600000,600"
    done = stage.heard(first, second, first)
    assert (done.new, done.known, [one.line for one in done.rejected]) == (1, 1, [3])
    assert "seconds 600 instead of 100" in done.rejected[0].reason
    again = stage.heard(second, name="other.csv")
    assert (again.new, again.known, len(again.rejected)) == (0, 0, 1)
    (record,) = stage._rows(sa.select(call_record).where(call_record.c.service == stage.service))
    assert record.seconds == 100


def test_a_service_that_is_not_billed_is_rejected_and_one_without_prices_is_told(
    database: Database, tmp_path: Path
) -> None:
    """A file that names services: what nobody would ever bill is not taken in without a word."""
    stage = _Talking(database, tmp_path)
    other = stage.add()
    path = stage.file(
        "named.csv",
        "caller,callee,started,seconds,service\n"
        f"0811111111,+61812345678,1767600000,5,S-77777\n"
        f"0811111111,+61812345678,1767600000,6,{other}\n"
        f"0811111111,+61812345678,1767600000,7,{stage.service}\n",
    )
    done = importing.read(database, path, Shape(carrier=f"c{stage.number}", country="61"))
    assert (done.new, [(one.line, one.reason.partition(";")[0]) for one in done.rejected]) == (
        2, [(2, "service 'S-77777' is not billed")],
    )  # fmt: skip
    assert set(done.services) == {other, stage.service}
    with database.read() as conn:
        assert unpriced(conn, stage.reader, done.services) == [other]


@pytest.mark.parametrize("meter", ["bytes", "down", "up", "seconds", "sessions", rating.METER])
def test_every_meter_has_words(meter: str) -> None:
    """Whoever rates is told what of: `trunkline billing rate` names each amount."""
    assert told.what(meter)
    assert told.amount_of(meter, 3700)


def test_bad_lines_are_named_and_the_others_taken(database: Database, tmp_path: Path) -> None:
    """And stand in a file of their own that can be mended and imported."""
    stage = _Talking(database, tmp_path)
    done = stage.heard(
        "1,@,+61812345678,yesterday,100", "2,anonymous,+61812345678,1767600000,100",
        "3,@,+61812345678,1767600000,-5", "4,@,+61812345678,1767600000,5,extra", "5,@,+61812345678,1767600000,5",
        "6,@,+61812345678,9999-12-31T23:59:59-10:00,5",
    )  # fmt: skip
    assert done.new == 1
    assert [(one.line, one.reason.split("'")[-1].strip()[:24]) for one in done.rejected] == [
        (2, "is no time such as 2026-"), (3, "is no telephone number: "), (4, "is no number of seconds"),
        (5, "it has more fields than "), (7, "9999-12-31 is too far of"),
    ]  # fmt: skip
    importing.write_rejected(tmp_path / "rest.csv", done.rejected)
    text = (tmp_path / "rest.csv").read_text().splitlines()
    assert text[0].startswith("line,reason,id,caller")
    assert len(text) == 6


def test_late_calls_bill_the_difference(database: Database, tmp_path: Path) -> None:
    """And a deck that was wrong is mended the same way."""
    stage = _Talking(database, tmp_path)
    stage.heard("1,@,+4930123456,2026-01-07T03:00:00Z,60")
    rate(database, stage.reader, FEB)
    stage.heard("2,@,+4930123456,2026-01-08T03:00:00Z,60", name="late.csv")
    rate(database, stage.reader, date(2026, 2, 3))
    cheaper = DECK.replace("0.0125,0.10", "0.01,0.05")
    with database.write() as conn:
        decks.load(conn, "std", date(2025, 1, 1), stage.file("deck.csv", cheaper))
    found = rate(database, stage.reader, date(2026, 2, 3), dry=True).changes
    assert [(str(one.before), str(one.amount)) for one in found if one.account == stage.account] == [
        ("AUD 0.23", "AUD 0.12")
    ]
    rate(database, stage.reader, date(2026, 2, 3))
    assert [(row.revision, row.amount) for row in stage.billed()] == [(0, 11), (1, 12), (2, -11)]


def test_calls_of_nobody_wait_for_their_number(database: Database, tmp_path: Path) -> None:
    """They are listed, and are the service's once it has the number, from its first local day on."""
    stage = _Talking(database, tmp_path)
    other = f"6186{stage.number:07}"
    rows = (
        f"1,+{other},+4930123456,2026-01-09T15:59:59Z,60",
        f"2,+{other},+4930123456,2026-01-09T16:00:00Z,60",
    )
    assert stage.heard(*rows).nobodys == 2
    with database.read() as conn:
        assert len([one for one in listing.of_nobody(conn) if one["caller"] == other]) == 2
    with database.write() as conn:
        assert numbers.assign(conn, stage.service, other, date(2026, 1, 10), "test") == 1
        shown = listing.of_service(conn, stage.service, date(2026, 1, 10), date(2026, 1, 11))
    assert [one["started"] for one in shown] == ["2026-01-10T00:00:00+08:00"]


def test_a_number_is_one_services_at_a_time(database: Database, tmp_path: Path) -> None:
    """Until it ends; calls before and after go to whom it was."""
    stage = _Talking(database, tmp_path)
    second = stage.add(plan="voice")
    with database.write() as conn, pytest.raises(NumberTaken, match="end that first"):
        numbers.assign(conn, second, stage.phone, date(2026, 2, 1), "test")
    with database.write() as conn:
        numbers.end(conn, stage.phone, date(2026, 1, 15))
        numbers.assign(conn, second, stage.phone, date(2026, 1, 20), "test")
    stage.heard(
        "1,@,+49301,2026-01-10T00:00:00Z,9",
        "2,@,+49301,2026-01-16T00:00:00Z,9",
        "3,@,+49301,2026-01-21T00:00:00Z,9",
    )
    query = (
        sa.select(call_record.c.service)
        .where(call_record.c.caller == stage.phone)
        .order_by(call_record.c.started_at)
    )
    assert [row[0] for row in stage._rows(query)] == [stage.service, None, second]
    with database.write() as conn:  # again, as support may: it gets no calls from after its end
        assert numbers.assign(conn, stage.service, stage.phone, date(2026, 1, 1), "test") == 0
    assert [row[0] for row in stage._rows(query)] == [stage.service, None, second]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("prefix,destination\n61,AU\n", ":1:1: no column for per_minute; the file has prefix, destination"),
        ("prefix,destination,per_minute\n61,AU,cheap\n", ":2:1: 'cheap' is no price"),
        ("prefix,destination,per_minute\n6x,AU,1\n", ":2:1: prefix '6x' is not digits"),
        ("prefix,destination,per_minute\n61,A\0U,1\n", ":2:1: the destination has a NUL character"),
        ("prefix,destination,per_minute\n61,AU,1\n+61,AU,2\n", ":3:1: prefix 61 stands in line 2 too"),
        ("prefix,destination,per_minute,step\n61,AU,1,0\n", ":2:1: '0' is no number of seconds, 1 to 86400"),
    ],
)
def test_a_deck_is_loaded_whole_or_not_at_all(
    database: Database, tmp_path: Path, text: str, told: str
) -> None:
    """With file and line."""
    path = tmp_path / "deck.csv"
    path.write_text(text)
    with database.write() as conn, pytest.raises((ColumnsMissing, DeckNotUsable), match=told):
        decks.load(conn, "broken", FEB, path)
    with database.read() as conn:
        assert decks.decks(conn, {"broken"})["broken"].rate("61", FEB) is None


def test_a_carriers_own_columns(database: Database, tmp_path: Path) -> None:
    """Named by whoever imports; a heading without them is told."""
    stage = _Talking(database, tmp_path)
    path = stage.file("odd.csv", f"src;dst;at;len\n0{stage.phone[2:]};0412345678;2026-01-05 10:00;30\n")
    columns = {"caller": "src", "callee": "dst", "started": "at", "seconds": "len"}
    shape = Shape(carrier="odd", columns=columns, country="61", timezone="Australia/Perth", delimiter=";")
    assert importing.read(database, path, shape).new == 1
    with pytest.raises(ColumnsMissing, match=r"odd.csv:1:1: no column for caller, callee, started, seconds"):
        importing.read(database, path, Shape(carrier="odd"))


POINTS = [importing.P_BATCH]


def test_an_import_that_is_cut_off_goes_on(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a batch; the same file again takes the rest."""
    stage = _Talking(database, tmp_path)
    rows = [f"{n},@,+4930123456,{1767600000 + n},60" for n in range(5)]
    monkeypatch.setattr(importing, "_AT_ONCE", 2)
    monkeypatch.setenv("TRUNKLINE_TEST_MODE", "1")
    monkeypatch.setenv("TRUNKLINE_FAULT", f"{POINTS[0]}:2:raise")
    monkeypatch.setattr(faults, "_passages", {})
    with pytest.raises(faults.FaultInjected):
        stage.heard(*rows)
    monkeypatch.delenv("TRUNKLINE_FAULT")
    done = stage.heard(*rows)
    assert (done.new, done.known) == (1, 4)


def test_a_plan_whose_calls_make_no_sense_is_told_where() -> None:
    """With file and line."""
    text = 'type: voice\nprices:\n  - {id: a, from: 2026-01-01, amount: "1.00", calls: {deck: std, to: ["61"]}}\n'
    found = loader.load("catalog/plans/odd.yaml", text.encode())
    assert isinstance(found, list)
    assert "catalog/plans/odd.yaml:3:" in str(found[0])
    assert "`to` says for which numbers" in str(found[0])
