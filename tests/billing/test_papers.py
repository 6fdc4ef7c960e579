"""Papers: PDF and e-invoice of final documents, valid, accessible, made once."""

import io
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import facturx
import msgspec
import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing import bill, crediting, invoices
from billing.bill import Line
from billing.billrun import run_billing
from billing.deposits import deposits
from billing.invoices import rows_of
from billing.offers import addons
from billing.papers import making, parties, pdf
from billing.papers.cii import e_invoice
from billing.papers.errors import CurrencyTooFine, FactMissing, NotFinal, TaxesApart, TemplateFailed
from billing.papers.paper import Paper, of_rows
from billing.papers.parties import Party, Seller
from billing.papers.phrases import SAID, said
from billing.periods import Period
from billing.rating.told import amount_of, what
from billing.tax import Rate
from core import clock, crypto
from core.db import Database
from core.money import Money
from intents.config.schema import Config, Entity, Operator, TaxNote
from intents.reader import MemoryReader
from intents.scalars import Text
from intents.template.schema import Template
from tests.billing.e_invoices import complaints
from tests.billing.selling import Shop
from tests.billing.stage import START, Stage, reader_of

SELLER = Seller(
    name="Example ISP", address=("1 Hay Street", "Level 2", "Rear", "Door 4"), postcode="75001", city="Paris",
    country="FR", vat="FR11999999998", registration="999 999 998", email="hello@example.net", phone="+33 1 0000 0000",
    iban="FR7630006000011234567890189", bic="AGRIFRPP",
    tax={"reverse": TaxNote(code="AE", reason="Reverse charge"), "export": TaxNote(code="G", reason="Export")},
)  # fmt: skip
BUYER = Party(name="Ada & Söhne <GmbH>", address=("Row 12",), city="Berlin", country="DE", vat="DE123456789")
RATES = [
    Rate("vat", 200_000, False), Rate("vat", 200_000, True), Rate("reduced", 55_000, False),
    Rate("reverse", 0, False), Rate("", 0, False), Rate("export", 0, False),
]  # fmt: skip


class _Owner(msgspec.Struct):
    id: str = "A-10001"
    legal_entity: str = "main"
    currency: str = "EUR"


@st.composite
def papers(draw: st.DrawFn) -> Paper:
    """Invoices and credit notes of any lines at any rates, inclusive and exclusive, in EUR or JPY."""
    currency = draw(st.sampled_from(["EUR", "JPY"]))
    lines = draw(st.lists(_lines(currency), min_size=1, max_size=8))
    drawn = bill.make(lines, currency)
    row, told, subtotals = rows_of(_Owner(currency=currency), drawn, START, "run")  # type: ignore[arg-type]
    number = "CN-000001" if row["kind"] == "credit-note" else "INV-000001"
    row |= {"number": number, "issued_on": START, "due_on": START + timedelta(days=14)}
    credits = ["INV-000007"] if draw(st.booleans()) else []
    return of_rows(row, told, subtotals, SELLER, BUYER, credits)


def _lines(currency: str) -> st.SearchStrategy[Line]:
    periods = st.builds(
        lambda start, days: Period(START + timedelta(days=start), START + timedelta(days=start + days)),
        st.integers(0, 90), st.integers(1, 400),
    )  # fmt: skip
    return st.builds(
        Line, description=st.text(min_size=1, max_size=30).map(lambda text: f"L{text}"),
        amount=st.integers(-500_000, 500_000).map(lambda minor: Money(minor, currency)),
        rate=st.sampled_from(RATES), kind=st.just("recurring"), service=st.just("S-1"),
        period=st.none() | periods,
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(papers())
def test_every_document_is_a_valid_e_invoice(paper: Paper) -> None:
    """By the XSD and the Schematron of EN 16931, whatever its lines."""
    try:
        told = e_invoice(paper)
    except TaxesApart:
        assert paper.currency == "JPY"
        assert len({(tax.code, tax.millionths) for tax in paper.taxes}) < len(paper.taxes)
        return
    assert complaints(told) == []


def test_the_validator_would_tell() -> None:
    """A wrong sum, a wrong element: the rules above are really asked."""
    xml = e_invoice(_paper()).decode()
    assert "BR-CO-15" in str(complaints(xml.replace(">120.00</ram:Grand", ">121.00</ram:Grand").encode()))
    assert complaints(xml.replace("ram:BuyerTradeParty", "ram:Buyer").encode())


@pytest.mark.parametrize(
    ("seller", "buyer", "currency", "told"),
    [
        ({"country": ""}, {}, "EUR", "the seller's country is missing"),
        ({"vat": "", "registration": ""}, {}, "EUR", "the seller's VAT identifier or registration"),
        ({}, {"country": ""}, "EUR", "the country of A-10001 is missing"),
        ({}, {}, "KWD", "EN 16931 allows two decimals, KWD has more"),
        (
            {"tax": {"vat": TaxNote(code="AE", reason="Reverse")}},
            {"vat": ""},
            "EUR",
            "the VAT identifier of A-10001",
        ),
    ],
)
def test_what_the_standard_wants_and_nobody_said_is_named(seller, buyer, currency, told) -> None:
    """With where to say it."""
    rate = Rate("vat", 0 if "tax" in seller else 200_000, False)
    paper = _paper(
        currency, rate, msgspec.structs.replace(SELLER, **seller), msgspec.structs.replace(BUYER, **buyer)
    )
    with pytest.raises((FactMissing, CurrencyTooFine), match=told):
        e_invoice(paper)


@pytest.fixture
def stage(database: Database) -> Stage:
    """An account of a French company with one final invoice."""
    made = Stage(database)
    made.add()
    run_billing(database, _reader(made), START)
    return made


def test_a_pdf_is_accessible_and_carries_the_e_invoice(database: Database, stage: Stage) -> None:
    """PDF/A-3, tagged, with title and language; the XML within validates."""
    found = _papers(database, stage)
    reader: Any = pypdf.PdfReader(io.BytesIO(found.pdf))
    root: Any = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert str(root["/Lang"]) == "en"
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert reader.metadata
    assert reader.metadata.title == f"Invoice {found.number}"
    assert {"/H1", "/Table", "/TH"} <= _tags(root["/StructTreeRoot"])
    text = reader.pages[0].extract_text()
    assert "Fibre 500" in text
    assert "86.90" in text
    assert "RF" in text
    name, xml = facturx.get_xml_from_pdf(found.pdf, check_xsd=True)
    assert (name, xml) == ("factur-x.xml", found.xml)
    assert complaints(xml) == []


def test_a_paper_is_made_once_and_stays_as_it_was(database: Database, stage: Stage) -> None:
    """A customer who moves, an operator with a new name: the old invoice says what it said."""
    before = _papers(database, stage)
    with database.write() as conn:
        parties.set_contact(conn, None, stage.account, Party(name="Somebody Else", country="AU"), actor="sue")
    assert _papers(database, stage) == before
    run_billing(database, _reader(stage, name="New Name"), date(2026, 2, 1))
    numbers = [row.number for row in stage.invoices()]
    after = making.papers(database, _reader(stage, name="New Name"), None, numbers[1], _nobody)
    assert b"Somebody Else" in (after.xml or b"")
    assert b"New Name" in (after.xml or b"")
    assert b"New Name" not in (before.xml or b"")


def test_whom_nobody_had_named_by_then_is_the_customer(database: Database) -> None:
    """A contact counts from when it was told on, whenever a document is first looked at: one number, one buyer."""
    stage = Stage(database)
    stage.add()
    with clock.frozen(datetime(2026, 1, 1, 12, tzinfo=UTC)):
        run_billing(database, _reader(stage), START)
    with database.write() as conn, clock.frozen(datetime(2026, 1, 2, tzinfo=UTC)):
        parties.set_contact(conn, None, stage.account, Party(name="Told Later", country="AU"), actor="sue")
    xml = _papers(database, stage).xml or b""
    assert f"Customer of {stage.account}".encode() in xml
    assert b"Told Later" not in xml


def test_an_old_document_shows_who_it_was_for_even_when_it_is_first_seen_late(database: Database) -> None:
    """The contact and the seller of the moment when it became final."""
    stage = Stage(database)
    stage.add()
    with database.write() as conn, clock.frozen(datetime(2025, 12, 1, tzinfo=UTC)):
        parties.set_contact(conn, None, stage.account, Party(name="First Name", country="AU"), actor="sue")
    with clock.frozen(datetime(2026, 1, 1, 12, tzinfo=UTC)):
        run_billing(database, _reader(stage), START)
    with database.write() as conn, clock.frozen(datetime(2026, 1, 2, tzinfo=UTC)):
        parties.set_contact(conn, None, stage.account, Party(name="Second Name", country="AU"), actor="sue")
        parties.note_sellers(conn, _reader(stage, name="Later"))
    xml = _papers(database, stage, _reader(stage, name="Later")).xml or b""
    assert b"First Name" in xml
    assert b"Later" not in xml


def test_a_contact_is_sealed_at_rest(database: Database, stage: Stage, tmp_path) -> None:
    """And readable with the key only."""
    key = crypto.create_key(tmp_path / "data.key", tmp_path / "identity")
    with database.write() as conn:
        parties.set_contact(conn, key, stage.account, BUYER, actor="sue")
        stored = conn.exec_driver_sql("SELECT personal FROM billing_contact ORDER BY seq DESC").scalar()
        assert "Ada" not in str(stored)
        assert parties.contact_at(conn, key, stage.account, clock.now()) == BUYER
        assert parties.contact_at(conn, None, stage.account, clock.now()) == Party(name="(sealed)")


def test_a_draft_has_no_paper(database: Database) -> None:
    """Nor has what was voided."""
    stage = Stage(database)
    stage.add()
    run_billing(database, _reader(stage), START, finalise=False)
    with pytest.raises(NotFinal, match="is draft: only a final document has a paper"):
        making.papers(database, _reader(stage), None, stage.invoices()[0].id, _nobody)


def test_a_credit_note_names_its_invoice(database: Database, stage: Stage) -> None:
    """Type 381, amounts positive, the invoice referred to."""
    with database.write() as conn:
        crediting.credit(conn, stage.invoices()[0].number, actor="olive", reason="outage", key="k")
    run_billing(database, _reader(stage), date(2026, 2, 1))
    note = next(row.number for row in stage.invoices() if row.kind == "credit-note")
    xml = making.papers(database, _reader(stage), None, note, _nobody).xml or b""
    assert b">381<" in xml
    assert b">86.90</ram:GrandTotalAmount>" in xml
    assert stage.invoices()[0].number.encode() in xml
    assert complaints(xml) == []


def test_the_operators_own_template_and_logo(database: Database, stage: Stage) -> None:
    """From the repository; what fails in it is told with its line; it cannot reach beyond what it is given."""
    logo = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="40" height="20"/></svg>'
    )
    own = '<html lang="en"><title>x</title><img src="{{ logo }}" alt="Logo"><h1>Ours {{ paper.number }}</h1></html>'
    found = _papers(database, stage, _reader(stage, template=own, logo=logo))
    assert "Ours INV" in pypdf.PdfReader(io.BytesIO(found.pdf)).pages[0].extract_text()
    paper = _paper()
    for bad, told in (
        ("<p>\n{{ paper.nonsense }}</p>", r"templates/invoice/main.j2:2:1: .*nonsense"),
        ("{{ paper.__class__.__mro__ }}", "templates/invoice/main.j2:1:1"),
    ):
        with pytest.raises(TemplateFailed, match=told):
            pdf.page(paper, _reader(stage, entity="main", template=bad))


def test_a_template_loads_nothing_from_anywhere() -> None:
    """Neither files nor addresses."""
    text = '<html lang="en"><title>x</title><img src="file:///etc/passwd" alt="x"><p>fine</p></html>'
    made = pdf.printed(text, None, "x", START)
    assert b"root:" not in made
    assert made == pdf.printed(text, None, "x", START)


def test_languages_and_directions_print() -> None:
    """Each language has every word; a name from right to left stands on the page."""
    for language in ("en", "de", "fr", "es"):
        text = pdf.page(
            _paper(seller=msgspec.structs.replace(SELLER, language=language)), MemoryReader.of([])
        )
        assert f'<html lang="{language}">' in text
    name = pdf.page(_paper(buyer=Party(name="שרה כהן", country="IL")), MemoryReader.of([]))
    assert 'dir="auto">שרה כהן' in name


def _paper(
    currency: str = "EUR", rate: Rate = RATES[0], seller: Seller = SELLER, buyer: Party = BUYER
) -> Paper:
    line = Line(description="Fibre", amount=Money.parse("100", currency), rate=rate, kind="recurring")
    row, told, subtotals = rows_of(_Owner(currency=currency), bill.make([line], currency), START, "r")  # type: ignore[arg-type]
    row |= {"number": "INV-000001", "issued_on": START, "due_on": START}
    return of_rows(row, told, subtotals, seller, buyer)


def _papers(database: Database, stage: Stage, reader: MemoryReader | None = None) -> making.Papers:
    return making.papers(database, reader or _reader(stage), None, stage.invoices()[0].number, _nobody)


def _nobody(_conn: Any, account: str) -> Party:
    return Party(name=f"Customer of {account}", country="AU")


def _reader(
    stage: Stage, name: str = "Old Name", template: str = "", logo: str = "", entity: str = ""
) -> MemoryReader:
    """What the repository says, with the legal entity of the stage."""
    whose = entity or stage.entity
    config = Config(
        schema=1, operator=Operator(name="Op", timezone="UTC", currency="AUD"),
        entities={whose: Entity(name=name, country="AU", registration="ABN 1")},
    )  # fmt: skip
    base = reader_of(stage.services)
    files = [("template", f"invoice/{whose}", template), ("template", f"invoice/{whose}.svg", logo)]
    more = [
        (kind, known, Template(platform="invoice", name=known.split("/")[1], source=Text(text)))
        for kind, known, text in files
        if text
    ]
    kept = [(kind, known, value) for kind in ("service", "plan") for known, value in base.all(kind)]
    return MemoryReader.of([("config", "trunkline", config), *more, *kept])


def _tags(node: Any, deep: int = 0) -> set[str]:
    """The structure types within a tree of tags."""
    node = node.get_object()
    if not isinstance(node, pypdf.generic.DictionaryObject) or deep > 40:
        return set()
    found = {str(node["/S"])} if "/S" in node else set()
    children = node.get("/K")
    children = children.get_object() if children is not None else []
    for child in children if isinstance(children, list) else [children]:
        if hasattr(child, "get_object"):
            found |= _tags(child, deep + 1)
    return found


def test_prices_with_and_without_tax_at_one_rate_may_have_no_e_invoice_in_yen() -> None:
    """Each sum is rounded by itself, together they are a yen off: that is told, and the PDF is made without."""
    lines = [
        Line(
            description="L",
            amount=Money(minor, "JPY"),
            rate=Rate("vat", 200_000, inside),
            kind="recurring",
            service="S-1",
        )
        for minor, inside in ((1, False), (207, True), (16_012, False))
    ]
    row, told, subtotals = rows_of(_Owner(currency="JPY"), bill.make(lines, "JPY"), START, "run")  # type: ignore[arg-type]
    row |= {"number": "INV-000001", "issued_on": START, "due_on": START}
    with pytest.raises(TaxesApart, match="come to JPY 3238 of tax, and EN 16931 wants JPY 3237"):
        e_invoice(of_rows(row, told, subtotals, SELLER, BUYER, []))


NAMES = st.text("XYéßЖש{}&%", min_size=1, max_size=12)
DAY = date(2026, 3, 1)
MADE = [
    "{}: set-up on 2026-03-01", "{}: early termination on 2026-03-01", "{}: 2026-03-01 to 2026-04-01 (exclusive)",
    "{}: 2026-03-01 to 2026-04-01 (exclusive), 12 of 31 days", "{}: 2026-03-01 to 2026-04-01 (exclusive), prepaid",
    "Fee: {} of 2026-03-01", "{} on 2026-03-01", "{}: data 590 GB", "{}: download 1.5 TB", "{}: upload 12 B",
    "{}: time online 12 h 30 min", "{}: sessions 17", "{}: 12 calls, 3 h 2 min 1 s",
]  # fmt: skip


@given(
    NAMES, st.sampled_from(MADE), st.sampled_from(["de", "fr", "es"]), st.sampled_from(["", "back", "line"])
)
@settings(deadline=None)
def test_lines_are_in_the_customers_language_and_names_are_as_written(name, made, language, around):
    """Each sentence that we make has its own in every language; the name stands in it once, and so do figures."""
    text = made.format(name)
    begins = {"": "", "back": "taken back: ", "line": "INV-000007, line 2: "}[around]
    found = said(begins + text, language, DAY, date(2026, 4, 1))
    assert name in found
    english = (
        "set-up",
        "early termination",
        "(exclusive)",
        " of 31 days",
        "prepaid",
        "Fee:",
        "taken back",
        " calls",
    )
    assert not [word for word in english if word in found.replace(name, "")]
    figures = re.findall(
        r"\d[\d.]*", text.replace(name, "").replace("2026-03-01 to 2026-04-01 (exclusive)", "")
    )
    assert sorted(re.findall(r"\d[\d.]*", found.replace(name, "", 1))) == sorted(
        figures + (["000007", "2"] if around == "line" else [])
    )


def test_every_language_has_every_sentence() -> None:
    """And the same fields in each; days of another time than the line's are first to last."""
    fields = {
        language: {name: set(re.findall(r"{(\w+)}", text)) for name, text in words.items()}
        for language, words in SAID.items()
    }
    assert all(one == fields["en"] for one in fields.values())
    assert (
        said("Fibre: 2026-02-01 to 2026-03-01 (exclusive)", "de", DAY, None)
        == "Fibre: 2026-02-01 – 2026-02-28"
    )
    assert said("Minimum from 2026-02-01 to 2026-03-01 (exclusive)", "fr") == "Minimum de facturation"
    assert said("Deposit dep_01M8", "es") == "Fianza dep_01M8"
    assert said("Fee for a payment that was charged back, taken back", "de").endswith(
        "Zahlung, zurückgenommen"
    )
    assert said("Whatever {a} person: wrote", "de") == "Whatever {a} person: wrote"


def test_what_a_bill_run_writes_is_read_in_german(database: Database) -> None:
    """Every sentence out of the makers themselves: set-up, days, what is taken back, a fee, use, leaving, a minimum."""
    shop = Shop(database)
    fixed, least = shop.add(plan="fixed"), shop.add(plan="metered", type="voice")
    shop.sell(fixed, "static")
    with database.write() as conn:
        addons.charge_fee(conn, shop.reader, fixed, "visit", actor="test", on=START)
        deposit = deposits.take(conn, shop.account, Money(100, "AUD"), shop.entity, actor="test", on=START)
    shop.bill(START)
    shop.happen("cease", fixed, date(2026, 1, 11))
    shop.happen("block", least, date(2026, 1, 11))
    shop.bill(date(2026, 1, 12), date(2026, 2, 1))
    with database.read() as conn:
        rows = [row for one in shop.invoices() for row in invoices.lines(conn, one.id)]
    found = {said(row["description"], "de", row["period_start"], row["period_end"]) for row in rows}
    assert found == {
        "Two years", "zurückgenommen: Two years", "Two years, 10 von 31 Tagen",
        "Two years: vorzeitige Kündigung zum 2026-01-11", "Static address: Einrichtung am 2026-01-01", "Static address",
        "zurückgenommen: Static address", "Static address, 10 von 31 Tagen", "Visit am 2026-01-01",
        f"Kaution {deposit}", "Metered", "zurückgenommen: Metered", "Metered, 10 von 31 Tagen", "Mindestumsatz",
    }  # fmt: skip
    for meter in ("bytes", "down", "up", "seconds", "sessions"):
        text = f"Fibre: {what(meter)} {amount_of(meter, 12_345)}"
        assert what(meter) not in said(text, "fr")
