"""Statements that come in: once, matched by rules, the rest to a person; returns, reversals, refunds; gaps are told."""

from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from billing import debts, invoices, ledger, payments, taxes
from billing.bank import assigning, camt, checks, importing, looking, mandates, sheet
from billing.bank.errors import DataKeyNeeded, EntryUnknown, NotAssignable, StatementWrong
from billing.bank.models import entry as entry_table
from billing.bank.models import statement as statement_table
from billing.billables import Billable, add
from billing.billrun import run_billing
from billing.models import payment
from billing.refunding import moving, refunds
from billing.refunding.errors import NotMovable
from core.crypto import DataKey
from core.db import Database
from core.money import Money
from tests.billing.banking import OURS, THEIRS, entry, part, statement
from tests.billing.stage import START, Stage
from tests.billing.threads import together
from tests.faults_matrix import KILLED, run_child

KEY = DataKey(bytes(32))
POINTS = [importing.P_STATEMENT, importing.P_LINE]
FEW = settings(
    max_examples=10, deadline=None, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip


def owing(database: Database, *amounts: int, entity: str = "") -> Stage:
    """An account in euros with an invoice of each amount."""
    given: dict[str, Any] = {"legal_entity": entity} if entity else {}
    stage = Stage(database, currency="EUR", timezone="Europe/Berlin", payment_days=0, **given)
    with database.write() as conn:
        taxes.set_rate(conn, "none", "0%", profile=stage.entity, valid_from=date(2000, 1, 1))
    for n, minor in enumerate(amounts):
        one = Billable(account=stage.account, kind="one-off", source=f"{stage.account}:{n}", description="Thing",
                       amount=Money(minor, "EUR"), billed_from=START + timedelta(days=n))  # fmt: skip
        with database.write() as conn:
            add(conn, one, actor="test")
        run_billing(database, stage.reader, START + timedelta(days=n))
    return stage


def own_iban(stage: Stage, n: int = 0) -> str:
    """An IBAN of ours that no other test has."""
    body = f"DE00370400{stage.number:08d}{n:04d}"
    rest = int("".join(str(int(one, 36)) for one in body[4:] + "DE00")) % 97
    return f"DE{98 - rest:02d}{body[4:]}"


def take(stage: Stage, *entries: str, total: str, **given: Any) -> importing.Imported:
    """Import a statement of these entries."""
    values: dict[str, Any] = {"closing": total, "iban": own_iban(stage), "name": f"S-{stage.number}", **given}
    found = camt.read(statement(*entries, **values), "f.xml")
    return importing.import_statements(stage.database, found, "f.xml", KEY, actor="anna")


def open_of(stage: Stage) -> list[int]:
    """What is open, the oldest first."""
    with stage.database.read() as conn:
        return [one.balance for one in sorted(debts.open_balances(conn, stage.account))]


def waiting(stage: Stage) -> list[assigning.Unmatched]:
    """Lines of this stage's statements that wait for a person."""
    with stage.database.read() as conn:
        mine = (
            sa.select(entry_table.c.id)
            .join(statement_table)
            .where(statement_table.c.account == own_iban(stage))
        )
        names = set(conn.execute(mine).scalars())
        return [one for one in assigning.unmatched(conn, 10_000) if one.id in names]


def number(stage: Stage, n: int = 0) -> str:
    """An invoice's number."""
    return str(stage.invoices()[n].number)


def test_the_creditor_reference_the_number_and_the_account_are_found(database: Database):
    """Three payers, three ways to say it; each pays what it names first."""
    stage = owing(database, 5_000, 3_000, 2_000)
    rows = [
        entry("30.00", part(reference=checks.reference_of(number(stage, 1)) or "")),
        entry("20.00", part(text=[f"pay {number(stage, 2).replace('-', '')}"])),
        entry("10.00", part(text=[f"customer {stage.account}"])),
    ]
    done = take(stage, *rows, total="60.00")
    assert (done.statements, done.states) == (1, {"matched": 3})
    assert open_of(stage) == [4_000]
    with database.read() as conn:
        rules = conn.execute(sa.select(entry_table.c.rule, entry_table.c.confidence).where(
            entry_table.c.account_id == stage.account).order_by(entry_table.c.place)).all()  # fmt: skip
    assert [tuple(one) for one in rules] == [
        ("creditor-reference", 100), ("invoice-number", 95), ("account-number", 90),
    ]  # fmt: skip


def test_the_same_statement_twice_adds_nothing_and_one_that_differs_is_refused(database: Database):
    """Told by what it says, not by its file."""
    stage = owing(database, 5_000)
    row = entry("10.00", part(text=[number(stage)]))
    assert take(stage, row, total="10.00").again == 0
    again = take(stage, row, total="10.00")
    assert (again.statements, again.again, again.states) == (0, 1, {})
    assert open_of(stage) == [4_000]
    with pytest.raises(StatementWrong, match="it was imported before and said something else"):
        take(stage, entry("11.00", part(text=[number(stage)])), total="11.00")


def test_a_missing_statement_is_told_until_it_comes(database: Database):
    """Each opens with what the one before closed with."""
    stage = owing(database)
    days = [date(2026, 1, n) for n in (5, 6, 7)]
    names = [f"G{n}-{stage.number}" for n in range(3)]
    amounts = [("0.00", "1.00"), ("1.00", "2.00"), ("2.00", "3.00")]

    def one(n: int) -> tuple[str, ...]:
        opening, closing = amounts[n]
        return take(
            stage, entry("1.00", on=days[n]), total=closing, opening=opening, on=days[n], name=names[n]
        ).gaps

    assert one(0) == ()
    (gap,) = one(2)
    assert f"statement {names[2]} of 2026-01-07 opens with EUR 2.00" in gap
    assert f"{names[0]} of 2026-01-05 closes with EUR 1.00: one between them is missing" in gap
    assert one(1) == ()


def test_a_person_assigns_and_the_next_one_is_known(database: Database):
    """By account or invoice; the IBAN is learnt, sealed in the database and shown masked."""
    stage = owing(database, 5_000, 3_000)
    payer = own_iban(stage, 7)
    take(stage, entry("30.00", part(text=["thanks"], name="Ann", iban=payer)), total="30.00")
    (line,) = waiting(stage)
    assert (line.name, line.iban, line.amount) == ("Ann", checks.masked(payer), Money(3_000, "EUR"))
    assert "look at" in line.told
    with database.write() as conn:
        paid = assigning.assign(conn, line.id, number(stage, 1), actor="anna")
    assert [one.invoice for one in paid.shares] == [stage.invoices()[1].id]
    assert (open_of(stage), waiting(stage)) == ([5_000], [])
    take(
        stage, entry("50.00", part(text=["thanks"], iban=payer)), opening="30.00", total="80.00", name="next"
    )
    assert open_of(stage) == []
    with pytest.raises(NotAssignable, match="it is assigned already"), database.write() as conn:
        assigning.assign(conn, line.id, stage.account, actor="anna")
    with pytest.raises(EntryUnknown, match="'trunkline billing bank unmatched'"), database.write() as conn:
        assigning.ignore(conn, "ent_x", "interest", actor="anna")
    with database.read() as conn:
        stored = str(conn.execute(sa.select(entry_table).where(entry_table.c.id == line.id)).one())
    assert payer not in stored
    assert "enc:v1:" in stored


def test_what_is_not_for_a_customer_stays_out_of_the_list_and_what_is_odd_is_in_it(database: Database):
    """Fees and suppliers are not ours; a return that nobody knows is for a person, who may say so."""
    stage = owing(database)
    rows = [entry("-4.90", more="account fee"), entry("-7.00", part(reason="AC04", iban=THEIRS))]
    assert take(stage, *rows, total="-11.90").states == {"not-ours": 1, "unmatched": 1}
    (line,) = waiting(stage)
    assert line.reason == "AC04"
    with pytest.raises(NotAssignable, match="money went out"), database.write() as conn:
        assigning.assign(conn, line.id, stage.account, actor="anna")
    with database.write() as conn:
        assigning.ignore(conn, line.id, "an old customer's", actor="anna")
    assert waiting(stage) == []


def test_money_in_another_currency_or_of_another_company_waits_for_a_person(database: Database):
    """It is in the wrong bank account: no rule books it."""
    stage = owing(database, 5_000)
    row = entry("5.00", part(text=[number(stage)]), currency="USD")
    assert take(stage, row, total="5.00", currency="USD").states == {"unmatched": 1}
    assert f"account {stage.account} is kept in EUR, this came in USD" in waiting(stage)[0].told
    other = Stage(database)
    with database.write() as conn:
        mandates.set_creditor(
            conn, other.entity, name="Other", creditor_id="DE98ZZZ09999999999", iban=own_iban(other)
        )
    row = entry("5.00", part(text=[number(stage)]))
    assert take(other, row, total="5.00").states == {"unmatched": 1}
    assert f"came to {other.entity}'s bank account" in waiting(other)[0].told


def test_a_reversed_credit_is_a_chargeback(database: Database):
    """The bank takes a transfer back by its reference or IBAN; what it paid is open again; once."""
    stage = owing(database, 5_000)
    payer = own_iban(stage, 8)
    took = part(text=[number(stage)], end_to_end=f"X{stage.number}", iban=payer)
    take(stage, entry("50.00", took), total="50.00")
    assert open_of(stage) == []
    back = entry("-50.00", part(end_to_end=f"X{stage.number}", side="Cdtr"), reversal=True)
    assert take(stage, back, opening="50.00", total="0.00", name="back").states == {"matched": 1}
    assert open_of(stage) == [5_000]
    more = take(stage, back, opening="0.00", total="-50.00", name="twice")
    assert more.states == {"unmatched": 1}
    with database.read() as conn:
        assert ledger.balance(conn, "cash:bank-transfer", stage.account, "EUR").minor == 0


def test_a_refund_that_leaves_is_settled_and_one_that_comes_back_is_credit(database: Database):
    """Told by the refund's id in the text or as the end-to-end id."""
    stage = owing(database)
    with database.write() as conn:
        key = f"{stage.account}:r"
        paid = payments.pay(conn, stage.account, Money(900, "EUR"), "bank", key, on=START).payment
        asked = refunds.refund(
            conn, paid, Money(900, "EUR"), key=key, method="bank", actor="a", reason="left", on=START
        )
    text = asked.replace("rfd_", "RFD-")
    take(stage, entry("-9.00", part(text=[f"refund {text}"])), total="-9.00")
    with database.read() as conn:
        assert refunds.get(conn, asked)["state"] == "settled"
    back = entry("9.00", part(end_to_end=text, reason="AC04"))
    take(stage, back, opening="-9.00", total="0.00", name="back")
    with database.read() as conn:
        row = refunds.get(conn, asked)
        assert (row["state"], row["failure"]) == ("failed", "AC04")
        assert ledger.balance(conn, ledger.CREDIT, stage.account, "EUR").minor == -900


def test_a_payment_from_a_bank_file_is_moved_and_not_voided(database: Database):
    """The money is there: it may only be somebody else's."""
    stage = owing(database, 5_000)
    take(stage, entry("50.00", part(text=[number(stage)])), total="50.00")
    with database.write() as conn:
        made = conn.execute(sa.select(payment.c.id).where(payment.c.account_id == stage.account)).scalar_one()
        with pytest.raises(NotMovable, match="nobody keyed it in"):
            moving.void(conn, made, actor="anna", reason="x")


def test_csv_files_that_overlap_count_each_line_once(database: Database):
    """Two exports of overlapping days; two equal lines of one day are two."""
    stage = owing(database, 10_000)
    mapping = sheet.Mapping(own_iban(stage), {"date": "d", "amount": "a", "text": "t"})
    rows = [f"0{n}.01.2026;{n},00;{number(stage)}" for n in range(1, 6)]

    def load(lines: list[str]) -> importing.Imported:
        made = sheet.read("\n".join(["d;a;t", *lines]).encode(), "f.csv", mapping)
        return importing.import_statements(database, [made], "f.csv", KEY, actor="anna")

    assert load(rows[:3]).states == {"matched": 3}
    second = load([*rows[2:], rows[4]])
    assert (second.states, second.again) == ({"matched": 3}, 1)
    assert (load(rows).statements, open_of(stage)) == (0, [10_000 - 100 * (1 + 2 + 3 + 4 + 5 + 5)])


def test_without_a_data_key_nothing_is_imported(database: Database):
    """IBANs are never kept in clear."""
    found = camt.read(statement(entry("1.00"), closing="1.00"), "f.xml")
    with pytest.raises(DataKeyNeeded, match="trunkline secret init"):
        importing.import_statements(database, found, "f.xml", None, actor="a")


_rows = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4_000)), min_size=1, max_size=8)


@FEW
@given(_rows, st.lists(st.integers(0, 7), max_size=4))
def test_any_lines_in_any_files_are_booked_once_and_add_up(database: Database, rows, again):
    """Every cent that came in is a payment or waits for a person; files told again in any order add nothing."""
    stage = owing(database, 5_000, 3_000)
    ways = [number(stage), checks.reference_of(number(stage, 1)), stage.account, "thanks", ""]
    files, balance = [], 0
    for n, (way, minor) in enumerate(rows):
        row = entry(f"{minor / 100:.2f}", part(text=[str(ways[way])]))
        opening, balance = balance, balance + minor
        files.append((row, f"{opening / 100:.2f}", f"{balance / 100:.2f}", f"P{n}-{stage.number}"))
    for index in [*range(len(files)), *(one for one in again if one < len(files))]:
        row, opening, closing, name = files[index]
        assert take(stage, row, total=closing, opening=opening, name=name).gaps == ()
    with database.read() as conn:
        query = sa.select(sa.func.coalesce(sa.func.sum(payment.c.amount), 0))
        taken = conn.execute(query.where(payment.c.account_id == stage.account)).scalar_one()
        assert ledger.balance(conn, "cash:bank-transfer", stage.account, "EUR").minor == taken
    assert taken + sum(one.amount.minor for one in waiting(stage)) == sum(minor for _, minor in rows)
    with database.write() as conn:
        for line in waiting(stage):
            assigning.assign(conn, line.id, stage.account, actor="anna")
    assert sum(open_of(stage)) == max(0, 8_000 - balance)


@pytest.mark.parametrize("point", POINTS)
def test_killed_before_a_statement_s_commit_and_imported_again_it_is_there_once(
    database: Database, point: str, tmp_path
):
    """Before the statement's commit there is nothing of it; before a line's, that line waits; the same file goes on."""
    stage = owing(database, 5_000)
    file = tmp_path / "f.xml"
    rows = [entry("10.00", part(text=[number(stage)])), entry("5.00", part(text=[number(stage)]))]
    file.write_bytes(statement(*rows, closing="15.00", iban=own_iban(stage)))
    arguments = [database.url.render_as_string(hide_password=False), str(file)]
    assert run_child("tests.billing.doomed_import", arguments, point).returncode == KILLED
    assert open_of(stage) == [5_000]
    assert len(waiting(stage)) == (2 if point == importing.P_LINE else 0)
    for _ in range(2):
        assert run_child("tests.billing.doomed_import", arguments).returncode == 0
    assert open_of(stage) == [3_500]
    with database.read() as conn:
        assert invoices.get(conn, number(stage))["account_id"] == stage.account


def test_an_iban_that_pays_for_many_tells_nothing(database: Database, monkeypatch: pytest.MonkeyPatch):
    """An office that pays for many customers: what names an invoice is matched, the rest waits for a person."""
    monkeypatch.setattr(looking, "MANY", 2)
    stage = owing(database, 5_000)
    payer = own_iban(stage, 9)
    stages = [stage, *(owing(database, 1_000) for _ in range(2))]
    rows = [entry("10.00", part(text=[number(one)], iban=payer)) for one in stages]
    assert take(stage, *rows, total="30.00").states == {"matched": 3}
    unnamed = entry("40.00", part(text=["thanks"], iban=payer))
    taken = take(stage, unnamed, opening="30.00", total="70.00", name=f"office-{stage.number}")
    assert taken.states == {"unmatched": 1}
    assert "iban" not in waiting(stage)[0].told


def test_several_at_once_import_a_file_once(database: Database):
    """Four people with the same file: each line is booked once."""
    stage = owing(database, 5_000)
    rows = [entry("1.00", part(text=[number(stage)], end_to_end=f"E{n}")) for n in range(6)]
    together(4, lambda: take(stage, *rows, total="6.00"))
    assert (open_of(stage), waiting(stage)) == ([4_400], [])


def test_our_own_iban_of_the_examples_is_one():
    """What the tests use as ours and theirs has right check digits."""
    assert checks.is_iban(OURS)
    assert checks.is_iban(THEIRS)
