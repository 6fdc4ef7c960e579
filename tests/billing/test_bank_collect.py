"""Direct debits: mandates, one file for a day, pending until the statement says; returns are chargebacks."""

import re
import xml.etree.ElementTree as ET
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from billing import ledger, payments
from billing.bank import calendar, checks, collecting, collections, mandates
from billing.bank.errors import (
    CreditorNotUsable,
    DataKeyNeeded,
    EntryUnknown,
    IbanWrong,
    MandateNotUsable,
    TooLate,
)
from billing.bank.models import batch as batch_table
from billing.bank.models import collection, mandate
from billing.collecting.coming import STATED
from billing.dunning import run_dunning
from billing.gateways import autopay
from billing.gateways.models import attempt
from billing.models import dunning_stage, invoice
from core.db import Database
from core.money import Money
from core.settings import Settings
from tests.billing.banking import THEIRS, entry, part, statement
from tests.billing.stage import Stage
from tests.billing.test_bank_import import KEY, open_of, owing, own_iban, take
from tests.billing.test_command import ask, home  # noqa: F401 (the fixture)
from tests.billing.threads import together
from tests.faults_matrix import KILLED, run_child

POINTS = [collecting.P_BATCH]
TODAY, ON = date(2026, 1, 5), date(2026, 1, 12)
SIGNED = date(2025, 6, 1)


def signed(stage: Stage, n: int = 0, **given: Any) -> str:
    """A mandate of the stage's account; its legal entity may collect."""
    reference = f"M-{stage.number}-{n}"
    values = {
        "iban": THEIRS,
        "holder": "Ann Müller",
        "signed_on": SIGNED,
        "key": KEY,
        "actor": "anna",
        **given,
    }
    with stage.database.write() as conn:
        mandates.set_creditor(
            conn, stage.entity, name="Trunkline", creditor_id="DE98ZZZ09999999999", iban=own_iban(stage)
        )
        mandates.sign(conn, stage.account, reference, **values)
    return reference


def collect(stage: Stage, on: date = ON, **given: Any) -> collecting.Batch | None:
    """The batch of a day."""
    values = {"actor": "anna", "today": TODAY, **given}
    with stage.database.write() as conn:
        return collecting.collect(conn, stage.entity, on, KEY, **values)


def rows(stage: Stage) -> list[Any]:
    """Its direct debits, the oldest first."""
    with stage.database.read() as conn:
        query = sa.select(collection).join(batch_table).join(invoice, invoice.c.id == collection.c.invoice_id)
        query = query.where(collection.c.account_id == stage.account)
        return list(conn.execute(query.order_by(batch_table.c.collect_on, invoice.c.number)))


def said(made: collecting.Batch | None, name: str) -> list[str | None]:
    """The texts of an element in the file."""
    assert made is not None
    return [one.text for one in ET.fromstring(made.content.encode()).iter() if one.tag.endswith(f"}}{name}")]


def state(stage: Stage, reference: str) -> str:
    """A mandate's state."""
    with stage.database.read() as conn:
        return str(conn.execute(sa.select(mandate.c.state).where(mandate.c.id == reference)).scalar_one())


def test_what_is_due_is_collected_once_and_the_file_can_be_fetched_again(database: Database):
    """First, then recurrent; the same text again, also by four at once; in the database it is sealed."""
    stage = owing(database, 5_000, 3_000)
    signed(stage)
    made = collect(stage)
    assert made is not None
    assert (made.count, made.total, made.collect_on, made.again) == (2, Money(8_000, "EUR"), ON, False)
    assert said(made, "SeqTp") == ["FRST", "RCUR"]
    assert said(made, "MndtId") == [f"M-{stage.number}-0"] * 2
    assert said(made, "Ustrd")[0] == f"{stage.invoices()[0].number} {stage.account}"
    together(4, lambda: collect(stage))
    again = collect(stage)
    assert again is not None
    assert (again.again, again.content) == (True, made.content)
    assert collect(stage, another=True) is None
    assert (len(rows(stage)), open_of(stage)) == (2, [5_000, 3_000])
    with database.read() as conn:
        stored = conn.execute(
            sa.select(batch_table.c.content).where(batch_table.c.id == made.id)
        ).scalar_one()
    assert stored.startswith("enc:v1:")


def test_a_day_on_which_no_money_moves_becomes_the_next_one_that_does(database: Database):
    """Saturday is Monday; too late is one sentence with the first possible day."""
    stage = owing(database, 5_000)
    signed(stage)
    with pytest.raises(TooLate, match="the earliest day is 2026-01-07"):
        collect(stage, date(2026, 1, 6))
    made = collect(stage, date(2026, 1, 10))
    assert said(made, "ReqdColltnDt") == ["2026-01-12"]


def test_a_statement_confirms_a_batch_payment_by_payment_or_as_a_sum(database: Database):
    """By end-to-end ids, or by the part's id where the sum is right; another sum is left to a person."""
    stage = owing(database, 5_000, 3_000)
    signed(stage)
    collect(stage)
    first, second = rows(stage)
    wrong = entry("30.01", info=second.payment_info)
    assert take(stage, wrong, total="30.01").states == {"unmatched": 1}
    one = entry("50.00", part(end_to_end=first.end_to_end))
    other = entry("30.00", info=second.payment_info)
    assert take(stage, one, other, opening="30.01", total="110.01", name="ok").states == {"matched": 2}
    assert (open_of(stage), [row.state for row in rows(stage)]) == ([], ["paid", "paid"])
    with database.read() as conn:
        assert ledger.balance(conn, "cash:sepa-debit", stage.account, "EUR").minor == 8_000


def test_a_return_is_a_chargeback_with_the_bank_s_fee_and_may_be_collected_again(database: Database):
    """AM04: no money. The invoice is open again; the second try is recurrent; after that a person looks."""
    stage = owing(database, 5_000)
    reference = signed(stage)
    for n, day in enumerate((ON, date(2026, 1, 20))):
        assert said(collect(stage, day), "SeqTp") == [["FRST"], ["RCUR"]][n]
        name = rows(stage)[n].end_to_end
        take(stage, entry("50.00", part(end_to_end=name)), total="50.00", name=f"in{n}", opening="0.00")
        assert open_of(stage) == []
        back = entry("-53.00", part(end_to_end=name, reason="AM04"))
        take(stage, back, opening="50.00", total="-3.00", name=f"out{n}")
        assert (open_of(stage), rows(stage)[n].state, state(stage, reference)) == (
            [5_000],
            "returned",
            "active",
        )
    assert collect(stage, date(2026, 1, 27)) is None
    with database.read() as conn:
        assert ledger.balance(conn, "fees:chargebacks", stage.account, "EUR").minor == 600
        assert ledger.balance(conn, "cash:sepa-debit", stage.account, "EUR").minor == -600


@pytest.mark.parametrize("code", ["AC04", "MD01"])
def test_after_a_hard_return_the_mandate_is_not_used_again(database: Database, code: str):
    """A closed account, no mandate: asking again would be wrong."""
    stage = owing(database, 5_000, 100)
    reference = signed(stage)
    collect(stage)
    one, other = rows(stage)
    for n, row in enumerate((one, other)):
        with database.write() as conn:
            account = collections.reject(conn, row.end_to_end, code, actor="bank")
        assert (account, rows(stage)[n].state) == (stage.account, "failed")
    assert state(stage, reference) == "blocked"
    assert collect(stage, date(2026, 1, 20)) is None
    with pytest.raises(EntryUnknown), database.write() as conn:
        collections.reject(conn, "TLC-x", "AC04", actor="bank")


def test_a_return_that_comes_before_its_batch_is_booked_both_ways(database: Database):
    """The debit is told first: in and out; the sum that comes later may contain it or not."""
    for extra in (0, 5_000):
        stage = owing(database, 5_000, 3_000)
        signed(stage, one_off=False)
        with database.write() as conn:  # used before: both are recurrent, one part
            conn.execute(sa.update(mandate).where(mandate.c.id == f"M-{stage.number}-0").values(state="last"))
        signed(stage, 1, signed_on=SIGNED - timedelta(days=1))
        collect(stage)
        first, second = rows(stage)
        back = entry("-50.00", part(end_to_end=first.end_to_end, reason="MD06"))
        take(stage, back, total="-50.00", name="back")
        assert open_of(stage) == [5_000, 3_000]
        with database.write() as conn:  # as if the bank had put both into one part
            conn.execute(
                sa.update(collection)
                .where(collection.c.id == first.id)
                .values(payment_info=second.payment_info)
            )
        sum_ = entry(f"{(3_000 + extra) / 100:.2f}", info=second.payment_info)
        closing = f"{(extra - 2_000) / 100:.2f}"
        assert take(stage, sum_, opening="-50.00", total=closing, name="sum").states == {"matched": 1}
        assert open_of(stage) == [5_000]


def test_a_return_without_an_end_to_end_id_is_found_by_its_mandate(database: Database):
    """Some banks tell only the mandate and the amount."""
    stage = owing(database, 5_000)
    reference = signed(stage)
    collect(stage)
    take(stage, entry("50.00", part(end_to_end=rows(stage)[0].end_to_end)), total="50.00")
    back = entry("-50.00", part(mandate=reference, reason="MD06"))
    assert take(stage, back, opening="50.00", total="0.00", name="b").states == {"matched": 1}
    assert open_of(stage) == [5_000]


def test_mandates_for_once_and_for_the_last_time_end_with_their_use(database: Database):
    """OOFF and FNAL; a mandate that nobody used for 36 months is void."""
    once, last, old = (owing(database, 5_000, 100) for _ in range(3))
    first, second = signed(once, one_off=True), signed(last)
    signed(old, signed_on=date(2022, 1, 1))
    with database.write() as conn:
        mandates.end(conn, second, actor="anna", after_next=True)
    made = collect(once)
    assert made is not None
    assert (said(made, "SeqTp"), made.count) == (["OOFF"], 1)
    assert "its mandate is for one direct debit" in made.left[0]
    assert said(collect(last), "SeqTp") == ["FNAL"]
    assert (state(once, first), state(last, second)) == ("ended", "ended")
    assert collect(old) is None


def test_what_is_paid_or_not_due_or_without_a_mandate_is_not_collected(database: Database):
    """Nor what another batch has already."""
    stage = owing(database, 5_000)
    assert stage.invoices()[0].due_on == date(2026, 1, 1)
    with database.write() as conn:
        key = f"{stage.account}:p"
        payments.pay(conn, stage.account, Money(4_000, "EUR"), "bank", key, on=TODAY)
    signed(stage)
    made = collect(stage)
    assert said(made, "InstdAmt") == ["10.00"]
    later = Stage(database, currency="EUR", payment_days=60)
    owing(database)
    signed(later)
    assert collect(later) is None


def test_a_mandate_s_iban_is_sealed_and_shown_masked(database: Database):
    """Nobody reads it from the database; the same mandate again changes nothing."""
    stage = owing(database)
    reference = signed(stage)
    signed(stage)
    with database.read() as conn:
        (row,) = mandates.of_account(conn, stage.account)
        assert (row["iban_shown"], row["holder"]) == (checks.masked(THEIRS), "Ann Mueller")
        assert THEIRS not in str(row)
        assert mandates.iban_of(KEY, row) == THEIRS
    with pytest.raises(MandateNotUsable, match="says something else"):
        signed(stage, signed_on=date(2025, 6, 2))
    with database.write() as conn:
        mandates.end(conn, reference, actor="anna")
    assert state(stage, reference) == "ended"


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"iban": THEIRS[:-1] + "4"}, IbanWrong, "'GB33…' is no IBAN"),
        ({"holder": "  "}, MandateNotUsable, "who holds the bank account"),
        ({"bic": "X"}, MandateNotUsable, "'X' is no BIC"),
        ({"signed_on": date(2199, 1, 1)}, MandateNotUsable, "is still to come"),
        ({"key": None}, DataKeyNeeded, "trunkline secret init"),
    ],
)
def test_a_bad_mandate_is_one_sentence(database: Database, given, error, told):
    """What is wrong; the IBAN is not repeated."""
    stage = owing(database)
    with pytest.raises(error, match=told) as raised:
        signed(stage, **given)
    assert THEIRS[4:] not in str(raised.value)


def test_a_legal_entity_that_cannot_collect_is_one_sentence(database: Database):
    """No creditor id; wrong ones; an account in another currency."""
    stage, foreign = owing(database, 100), Stage(database)
    with pytest.raises(CreditorNotUsable, match="no creditor identifier"):
        collect(stage)
    with pytest.raises(CreditorNotUsable, match="its check digits are wrong"), database.write() as conn:
        mandates.set_creditor(conn, "x", name="X", creditor_id="DE99ZZZ09999999999", iban=own_iban(stage))
    with pytest.raises(MandateNotUsable, match="kept in AUD; SEPA collects euros"):
        signed(foreign)
    with pytest.raises(MandateNotUsable, match="a reference has up to 35"), database.write() as conn:
        mandates.sign(
            conn, stage.account, "a b", iban=THEIRS, holder="A", signed_on=SIGNED, key=KEY, actor="a"
        )


@pytest.mark.parametrize("point", POINTS)
def test_killed_before_a_batch_s_commit_and_asked_again_it_is_written_once(database: Database, point: str):
    """No direct debit twice, none lost."""
    stage = owing(database, 5_000)
    signed(stage)
    arguments = [database.url.render_as_string(hide_password=False), stage.entity]
    assert run_child("tests.billing.doomed_collect", arguments, point).returncode == KILLED
    assert rows(stage) == []
    for _ in range(2):
        assert run_child("tests.billing.doomed_collect", arguments).returncode == 0
    assert len(rows(stage)) == 1


def test_the_commands_as_they_are_typed(home: Path, tmp_path: Path):  # noqa: F811
    """Creditor, mandate, collect without anything due, import, unmatched, assign, ignore; the file is private."""
    ask(home, "customer", "adopt", "--from", "2026-01-01")
    ask(home, "billing", "run", "--on", "2026-01-01")
    account, number = ((one := ask(home, "billing", "invoices")["invoices"][0])["account"], one["number"])
    ours = "DE89370400440532013000"
    ask(
        home,
        "billing",
        "bank",
        "creditor",
        "--name",
        "T",
        "--creditor-id",
        "DE98ZZZ09999999999",
        "--iban",
        ours,
    )
    out = tmp_path / "c.xml"
    assert ask(home, "billing", "bank", "collect", "--on", "2199-01-01", "--out", str(out))["count"] == 0
    assert not out.exists()
    file = tmp_path / "s.xml"
    lines = [entry("79.00", part(text=[number]), currency="AUD"), entry("1.00", part(text=["?"]), currency="AUD"),
             entry("2.00", currency="AUD")]  # fmt: skip
    file.write_bytes(statement(*lines, closing="82.00", currency="AUD"))
    assert ask(home, "billing", "bank", "import", str(file), "--dry")["statements"] == 1
    assert ask(home, "billing", "bank", "import", str(file))["states"] == {"matched": 1, "unmatched": 2}
    assert ask(home, "billing", "bank", "import", str(file))["again"] == 1
    first, second = ask(home, "billing", "bank", "unmatched")["entries"]
    assert re.fullmatch(r"pay_\w+", ask(home, "billing", "bank", "assign", first["id"], account)["payment"])
    ask(home, "billing", "bank", "ignore", second["id"], "--why", "interest")
    assert ask(home, "billing", "bank", "unmatched")["entries"] == []
    assert ask(home, "billing", "bank", "mandate", account)["mandates"] == []


def test_a_mandate_and_its_collection_as_they_are_typed(home: Path, tmp_path: Path):  # noqa: F811
    """The file is its owner's alone; asked again it is the same; nothing shows the IBAN."""
    database = Database(Settings.load(home, env={}).database_url)
    stage = owing(database, 5_000)
    database.close()
    entity = ("--entity", stage.entity)
    creditor = ("--name", "T", "--creditor-id", "DE98ZZZ09999999999", "--iban", own_iban(stage))
    ask(home, "billing", "bank", "creditor", *creditor, *entity)
    sign = ("--iban", THEIRS, "--holder", "Ann", "--signed", "2025-01-01")
    (shown,) = ask(home, "billing", "bank", "mandate", stage.account, f"M-{stage.entity}", *sign)["mandates"]
    assert (shown["iban"], shown["state"]) == ("GB33…5555", "active")
    on = str(calendar.after(date.today(), 9))  # noqa: DTZ011 (the command's own today)
    out = tmp_path / "c.xml"
    made = ask(home, "billing", "bank", "collect", "--on", on, "--out", str(out), *entity)
    assert (made["count"], made["total"], made["again"]) == (1, "EUR 50.00", False)
    assert out.stat().st_mode & 0o777 == 0o600
    text = out.read_text()
    assert THEIRS in text
    out.unlink()
    again = ask(home, "billing", "bank", "collect", "--on", on, "--out", str(out), *entity)
    assert (again["again"], out.read_text()) == (True, text)
    name = ET.fromstring(text).find(".//{*}EndToEndId")
    assert name is not None
    assert ask(home, "billing", "bank", "reject", str(name.text), "AC04")["account"] == stage.account
    (shown,) = ask(home, "billing", "bank", "mandate", stage.account)["mandates"]
    assert (shown["state"], shown["why"]) == ("blocked", "AC04")


@pytest.mark.parametrize(("after", "stages"), [(STATED.days, []), (STATED.days + 1, [1])])
def test_dunning_waits_for_the_statement_that_tells_of_a_collection(
    database: Database, after: int, stages: list[int]
):
    """No reminder for what the bank has in its hands; there is an end to it."""
    stage = owing(database, 5_000)
    signed(stage)
    assert collect(stage) is not None
    run_dunning(database, stage.reader, ON + timedelta(days=after))
    query = sa.select(dunning_stage.c.stage).where(dunning_stage.c.account_id == stage.account)
    with database.read() as conn:
        assert list(conn.execute(query.order_by(dunning_stage.c.stage)).scalars())[:1] == stages


def test_no_invoice_is_with_the_bank_and_with_a_gateway_at_once(database: Database):
    """Whoever has autopay is not collected from; what the bank has is not charged, also where it was planned before."""
    stage, other = owing(database, 5_000), owing(database, 5_000)
    for one in (stage, other):
        signed(one)
        if one is stage:
            assert collect(one) is not None
        with database.write() as conn:
            terms = autopay.Method(gateway="fake", customer="c", method=f"m{one.number}", label="x")
            autopay.switch_on(conn, one.account, terms, actor="ada")
    autopay.plan(database, ON)
    query = sa.select(attempt.c.account_id).where(attempt.c.account_id.in_((stage.account, other.account)))
    with database.read() as conn:
        assert list(conn.execute(query).scalars()) == [other.account]
    assert collect(other) is None
    with database.write() as conn:
        autopay.switch_off(conn, other.account, actor="ada")
    assert collect(other) is None  # its charge is undecided yet
