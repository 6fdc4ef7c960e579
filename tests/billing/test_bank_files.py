"""Reading and writing bank files: camt.053 of every version, CSV, check digits, TARGET days, pain.008. Pure."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.bank import calendar, camt, checks, matching, pain, sheet
from billing.bank.errors import StatementNotReadable, StatementWrong
from billing.bank.matching import Hit
from core.money import Money
from tests.billing.banking import OURS, THEIRS, entry, part, statement

MAPPING = """
account = "DE89 3704 0044 0532 0130 00"
skip = 2
[columns]
date = "Buchungstag"
amount = "Betrag"
text = "Verwendungszweck"
name = "Name"
iban = "IBAN"
"""
SHEET = """Umsatzanzeige
Konto;DE89
Buchungstag;Name;IBAN;Verwendungszweck;Betrag
05.01.2026;Ann;GB33 BUKB 2020 1555 5555 55;INV-000001;1.234,50
06.01.2026;Shop;;"Karte; Nr 1";-20,00
"""


@pytest.mark.parametrize("version", ["02", "04", "06", "08", "13"])
def test_every_version_of_camt_is_read_alike(version: str):
    """Parties move into <Pty>, states into <Cd>, amounts out of <AmtDtls>: what is said stays the same."""
    one = part(
        text=["INV-000001", "thanks & more"], reference="RF18539007547034", end_to_end="E1", name="Ann",
        iban=THEIRS, version=version,
    )  # fmt: skip
    raw = statement(
        entry("12.50", one, version=version),
        entry("-2.00", part(name="Shop", side="Cdtr", version=version), version=version),
        entry("99.00", version=version, status="PDNG"),
        opening="-1.00",
        closing="9.50",
        version=version,
    )
    (found,) = camt.read(raw, "f.xml")
    assert (found.account, found.id, found.number, found.opening, found.closing) == (
        OURS,
        "S-1",
        1,
        -100,
        950,
    )
    first, second = found.lines
    assert (first.amount, first.name, first.iban, first.end_to_end) == (1250, "Ann", THEIRS, "E1")
    assert (first.references, first.text) == (("RF18539007547034",), "INV-000001 thanks & more")
    assert (second.amount, second.name, second.booked_on) == (-200, "Shop", date(2026, 1, 5))


@pytest.mark.parametrize("version", ["02", "08"])
def test_a_batch_is_a_line_for_each_of_its_payments(version: str):
    """Where they add up to it; otherwise the sum is one line for a person, and nothing is lost."""
    parts = [part(amount=one, end_to_end=f"E{one}", version=version) for one in ("10.00", "2.50")]
    raw = statement(entry("12.50", *parts, version=version), closing="12.50", version=version)
    (found,) = camt.read(raw, "f.xml")
    assert [(line.place, line.amount, line.end_to_end) for line in found.lines] == [
        ("1.1", 1000, "E10.00"), ("1.2", 250, "E2.50"),
    ]  # fmt: skip
    raw = statement(entry("12.60", *parts, version=version, info="P-1"), closing="12.60", version=version)
    (found,) = camt.read(raw, "f.xml")
    assert [(line.place, line.amount, line.payment_info) for line in found.lines] == [("1", 1260, "P-1")]


def test_returns_reversals_and_currencies_of_three_decimals():
    """The debtor of a returned debit is the other side; Kuwait has fils."""
    back = part(end_to_end="E1", reason="AM04", iban=THEIRS, mandate="M-1")
    raw = statement(entry("-12.50", back), entry("-1.00", reversal=True), closing="-13.50")
    (found,) = camt.read(raw, "f.xml")
    first, second = found.lines
    assert (first.reason, first.iban, first.mandate, first.reversal) == ("AM04", THEIRS, "M-1", False)
    assert second.reversal is True
    raw = statement(entry("1.234", currency="KWD"), opening="0.000", closing="1.234", currency="KWD")
    assert camt.read(raw, "f.xml")[0].lines[0].amount == 1234


def test_a_line_of_a_day_far_off_is_refused():
    """A slip of the bank's, not a day to count with."""
    raw = statement(entry("12.50"), closing="12.50").replace(b"2026-01-05", b"9999-12-31")
    with pytest.raises(StatementNotReadable, match=r"f\.xml:\d+: 9999-12-31 is too far off"):
        camt.read(raw, "f.xml")


def test_a_statement_that_does_not_add_up_is_refused():
    """Opening and entries make closing, or the file is not what the bank's books are."""
    raw = statement(entry("12.50"), opening="1.00", closing="13.51")
    with pytest.raises(
        StatementWrong, match=r"opening EUR 1\.00 and entries EUR 12\.50 do not make closing EUR 13\.51"
    ):
        camt.read(raw, "f.xml")


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><Document>&b;</Document>'


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "f.xml:1: no XML"),
        (b"date;amount", "f.xml:1: no XML"),
        (BOMB, "f.xml:1: it has a DTD or an entity"),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><Document/>', "it has a DTD"),
        (b"<a>" * 100 + b"</a>" * 100, "nested more than 64 levels"),
        (b"<Document><BkToCstmrAcctRpt/></Document>", r"this is camt\.052 .*; a statement is camt\.053"),
        (b"<Document><BkToCstmrStmt/></Document>", "it has no <Stmt>"),
        (b"<Document><BkToCstmrStmt><Stmt/></BkToCstmrStmt></Document>", "needs its <Id>"),
        (statement(entry("12,50"), closing="1.00"), r"f\.xml:8: '12,50' is no amount of EUR"),
        (statement(entry("1.00"), closing="1.00").replace(b">CRDT<", b">UP<"), "CRDT or DBIT"),
        (statement(entry("1.00", currency="USD"), closing="1.00"), "it is in USD, the account in EUR"),
        (
            statement(entry("1.00"), closing="1.00").replace(b"2026-01-05</c:Dt></c:B", b"5.1.</c:Dt></c:B"),
            "no date",
        ),
    ],
)
def test_a_bad_file_is_one_sentence_with_its_line(raw: bytes, told: str):
    """Never a trace, never an entity, never half of it."""
    with pytest.raises(StatementNotReadable, match=told):
        camt.read(raw, "f.xml")


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_rubbish_is_never_a_trace(raw: bytes):
    """Whatever bytes come: a statement or one sentence."""
    with pytest.raises((StatementNotReadable, StatementWrong)):
        camt.read(raw, "f.xml")


def test_a_csv_is_read_by_its_mapping():
    """Quoted, with thousands, from below the bank's own heading; overlapping files tell each line once."""
    mapping = sheet.mapping_of(MAPPING.encode(), "m.toml")
    found = sheet.read(SHEET.encode(), "f.csv", mapping)
    assert [(one.amount, one.name, one.iban) for one in found.lines] == [
        (123450, "Ann", THEIRS),
        (-2000, "Shop", ""),
    ]
    assert (found.account, found.closed_on) == (OURS, date(2026, 1, 6))
    twice = SHEET + SHEET.splitlines()[3] + "\n"
    keys = sheet.read(twice.encode(), "g.csv", mapping).keys()
    assert keys[:2] == found.keys()
    assert len(set(keys)) == 3


@pytest.mark.parametrize(
    ("mapping", "text", "told"),
    [
        (MAPPING, SHEET.replace("1.234,50", "x"), r"f\.csv:4: 'x' is no amount of EUR"),
        (
            MAPPING,
            SHEET.replace("06.01.2026", "2026-01-06"),
            r"f\.csv:5: '2026-01-06' is no date like %d\.%m\.%Y",
        ),
        (MAPPING, SHEET.replace("06.01.2026", "31.12.9999"), r"f\.csv:5: 9999-12-31 is too far off"),
        (MAPPING, SHEET.replace("Karte", "K\0rte"), r"f\.csv:5: 'Verwendungszweck' has a NUL character"),
        (MAPPING, SHEET.replace("Betrag", "Amount"), r"f\.csv:3: it has no column 'Betrag'"),
        (MAPPING, "a\nb\nBuchungstag;Name;IBAN;Verwendungszweck;Betrag\n", "it has no lines"),
        (MAPPING.replace("skip", "skp"), SHEET, r"m\.toml:1: no mapping of columns: .*skp"),
        (MAPPING.replace("name =", "nom ="), SHEET, "'nom' is no column of ours"),
        (MAPPING.replace("amount =", "text2 ="), SHEET, "is no column of ours"),
        ("[columns", SHEET, r"m\.toml:1: no mapping"),
    ],
)
def test_a_bad_csv_or_mapping_is_one_sentence_with_its_line(mapping: str, text: str, told: str):
    """The file, the line, what to look at."""
    with pytest.raises(StatementNotReadable, match=told):
        sheet.read(text.encode(), "f.csv", sheet.mapping_of(mapping.encode(), "m.toml"))


def test_ibans_and_other_numbers_have_check_digits():
    """Published examples pass; with two digits turned around none does."""
    for text in (OURS, THEIRS, "FR1420041010050500013M02606", "NO9386011117947"):
        assert checks.is_iban(text)
        turned = text[:-2] + text[-1] + text[-2]
        assert turned == text or not checks.is_iban(turned)
    assert not checks.is_iban(OURS[:-1])
    assert checks.masked(OURS) == "DE89…3000"
    assert checks.is_creditor_id("DE98ZZZ09999999999")
    assert checks.is_creditor_id("DE98ABC09999999999")
    assert not checks.is_creditor_id("DE97ZZZ09999999999")
    assert checks.read_reference("RF18 5390 0754 7034") == "539007547034"
    assert checks.read_reference("RF19539007547034") is None


@given(st.integers(1, 10**9), st.sampled_from(["main", "west", "e-17"]))
def test_a_creditor_reference_of_an_invoice_leads_back_to_it(sequence: int, entity: str):
    """And one digit changed does not."""
    number = f"INV-{'' if entity == 'main' else f'{entity}-'}{sequence:06d}"
    reference = checks.reference_of(number) or ""
    assert matching.numbers_in([reference], ["main", "west", "e-17"]) == ([number], [])
    wrong = reference[:-1] + str((int(reference[-1]) + 1) % 10)
    assert matching.numbers_in([wrong], ["main", "west", "e-17"])[0] == []


@pytest.mark.parametrize(
    ("text", "numbers", "names"),
    [
        ("INV-000001", ["INV-000001"], []),
        ("Rechnung inv 000001 und INV000002, danke", ["INV-000001", "INV-000002"], []),
        ("INV/WEST/000007", ["INV-west-000007"], []),
        ("INVWEST000007 A10001", ["INV-west-000007"], ["A-10001"]),
        ("A-10001", [], ["A-10001"]),
        ("INV-0000012", ["INV-0000012"], []),
        ("INV-00001 CASA-10001 1234567", [], []),
    ],
)
def test_numbers_are_found_however_people_write_them(text: str, numbers: list[str], names: list[str]):
    """With and without dashes, in lower case, several; never a part of a longer one."""
    assert matching.numbers_in([text], ["main", "west"])[1] == numbers
    assert matching.accounts_in([text]) == names


A, B = Hit("iban", "A-1", "EUR", ("i1", "i2"), (500, 700)), Hit("iban", "A-2", "EUR", ("i3",), (500,))


@pytest.mark.parametrize(
    ("amount", "hits", "account", "confidence", "named"),
    [
        (500, [A], "A-1", 80, ("i1",)),
        (1200, [A], "A-1", 80, ()),
        (499, [A], None, 60, ()),
        (500, [A, B], None, 80, ()),
        (500, [A, Hit("invoice-number", "A-9", "EUR", ("i9",), (500,))], "A-9", 95, ("i9",)),
        (400, [Hit("invoice-number", "A-9", "EUR", ("i9",), (500,))], "A-9", 90, ("i9",)),
        (500, [Hit("creditor-reference", "A-9", "EUR", ("i9",), (0,)), A], "A-9", 100, ("i9",)),
        (500, [Hit("account-number", "A-9", "USD", (), ())], None, 90, ()),
        (500, [Hit("amount", "A-9", "EUR", ("i9",), (500,))], None, 40, ()),
        (500, [], None, 0, ()),
    ],
)
def test_what_is_doubtful_is_left_to_a_person(amount, hits, account, confidence, named):
    """Two accounts, another currency, only an amount: hints; a reference beats an IBAN."""
    found = matching.decide(amount, "EUR", hits)
    assert (found.account, found.confidence, found.invoices) == (account, confidence, named)
    assert bool(found.told) == (account is None)


def test_target_is_closed_on_weekends_and_six_days():
    """Easter by the published dates; two open days after Maundy Thursday 2026 are Easter Tuesday and Wednesday."""
    assert [calendar.easter(year) for year in (2024, 2025, 2026, 2038)] == [
        date(2024, 3, 31), date(2025, 4, 20), date(2026, 4, 5), date(2038, 4, 25),
    ]  # fmt: skip
    closed = [date(2026, 1, 1), date(2026, 4, 3), date(2026, 4, 6), date(2026, 5, 1), date(2026, 12, 25)]
    assert not any(calendar.is_open(day) for day in [*closed, date(2026, 1, 3), date(2026, 1, 4)])
    assert calendar.after(date(2026, 4, 2), 2) == date(2026, 4, 8)
    assert calendar.open_from(date(2026, 1, 3)) == date(2026, 1, 5)


@given(st.text(max_size=60))
def test_texts_are_written_in_the_characters_that_every_bank_takes(text: str):
    """Whatever the name: only the SEPA set, never longer than allowed."""
    written = pain.plain(text, 70)
    assert set(written) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/-?:().,'+ ")
    assert len(written) <= 70
    assert pain.plain("Müller & Söhne <Straße>", 70) == "Mueller + Soehne .Strasse."


# The order of elements by the ISO 20022 message definition (and SEPA's rules): what is written is a part of it.
ORDER = {
    "Document": "CstmrDrctDbtInitn",
    "CstmrDrctDbtInitn": "GrpHdr PmtInf",
    "GrpHdr": "MsgId CreDtTm Authstn NbOfTxs CtrlSum InitgPty FwdgAgt",
    "PmtInf": "PmtInfId PmtMtd BtchBookg NbOfTxs CtrlSum PmtTpInf ReqdColltnDt Cdtr CdtrAcct CdtrAgt CdtrAgtAcct "
              "UltmtCdtr ChrgBr ChrgsAcct ChrgsAcctAgt CdtrSchmeId DrctDbtTxInf",
    "PmtTpInf": "InstrPrty SvcLvl LclInstrm SeqTp CtgyPurp",
    "DrctDbtTxInf": "PmtId PmtTpInf InstdAmt ChrgBr DrctDbtTx UltmtCdtr DbtrAgt DbtrAgtAcct Dbtr DbtrAcct UltmtDbtr "
                    "InstrForCdtrAgt Purp RgltryRptg Tax RltdRmtInf RmtInf",
    "MndtRltdInf": "MndtId DtOfSgntr AmdmntInd AmdmntInfDtls ElctrncSgntr FrstColltnDt FnlColltnDt Frqcy",
}  # fmt: skip


def debit(n: int, sequence: str, minor: int = 1250, bic: str | None = None) -> pain.Debit:
    """A direct debit."""
    return pain.Debit(
        end_to_end=f"E-{n}", amount=Money(minor, "EUR"), mandate=f"M-{n}", signed_on=date(2025, 1, 2), holder="Ann <&>",
        iban=THEIRS, bic=bic, text=f"INV-00000{n}", sequence=sequence,
    )  # fmt: skip


def _orders(node: ET.Element) -> Iterator[tuple[str, list[str]]]:
    yield node.tag.partition("}")[2], [child.tag.partition("}")[2] for child in node]
    for child in node:
        yield from _orders(child)


@pytest.mark.parametrize("version", pain.VERSIONS)
def test_pain_has_the_order_of_the_message_definition_and_its_sums(version: str):
    """A part for each sequence type; counts and control sums of each and of all; BIC by the version's own name."""
    debits = [debit(1, "RCUR"), debit(2, "FRST", 5), debit(3, "RCUR", 10_000, "BUKBGB22")]
    who = pain.Creditor("Trunkline", "DE98ZZZ09999999999", OURS)
    moment = datetime(2026, 1, 5, 10, 0, 0, 5, tzinfo=UTC)
    text = pain.write(who, "TLB-1", date(2026, 1, 12), moment, debits, version)
    root = ET.fromstring(text.encode())
    assert root.tag == f"{{urn:iso:std:iso:20022:tech:xsd:pain.008.001.{version}}}Document"
    for name, children in _orders(root):
        known = ORDER.get(name, "").split()
        places = [known.index(child) for child in children] if known else []
        assert places == sorted(places), name
    said = {"n": f"urn:iso:std:iso:20022:tech:xsd:pain.008.001.{version}"}
    assert [one.text for one in root.iterfind(".//n:SeqTp", said)] == ["FRST", "RCUR"]
    assert [one.text for one in root.iterfind(".//n:NbOfTxs", said)] == ["3", "1", "2"]
    assert [one.text for one in root.iterfind(".//n:CtrlSum", said)] == ["112.55", "0.05", "112.50"]
    amounts = [Decimal(one.text or "") for one in root.iterfind(".//n:InstdAmt", said)]
    assert sum(amounts) == Decimal("112.55")
    assert len(list(root.iterfind(f".//n:{'BIC' if version == '02' else 'BICFI'}", said))) == 1
    assert [one.text for one in root.iterfind(".//n:Dbtr/n:Nm", said)] == ["Ann .+."] * 3
    assert [one.text for one in root.iterfind(".//n:CreDtTm", said)] == ["2026-01-05T10:00:00"]
