"""The e-invoice: Cross Industry Invoice (UN/CEFACT D22B) as EN 16931 and Factur-X 1.0 (profile EN 16931) have it.

Numbers in the comments are business terms of EN 16931-1. A line below zero is a quantity of -1: a price is never
below zero (BR-27). Pure: the same paper gives the same bytes.
"""

from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from xml.etree import ElementTree as Tree

from billing.papers.errors import CurrencyTooFine, FactMissing, TaxesApart
from billing.papers.paper import STANDARD, Paper, PaperLine, PaperTax
from billing.papers.parties import Party, Seller
from core.money import Money, digits, half_up

GUIDELINE = "urn:cen.eu:en16931:2017"
_SPACES = {
    "rsm": "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100",
    "ram": "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
    "udt": "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100",
    "qdt": "urn:un:unece:uncefact:data:standard:QualifiedDataType:100",
}
_INVOICE, _CREDIT_NOTE = "380", "381"
_SEPA_TRANSFER, _UNDEFINED = "58", "1"
_PIECE = "C62"
_FORBIDDEN = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 65534, 65535), " ")
"""What XML 1.0 cannot carry."""


def e_invoice(paper: Paper) -> bytes:
    """The XML. Raises FactMissing for what the standard wants and nobody said, CurrencyTooFine."""
    _require(paper)
    for prefix, space in _SPACES.items():
        Tree.register_namespace(prefix, space)
    root = Tree.Element(_name("rsm:CrossIndustryInvoice"))
    _put(
        root,
        "rsm:ExchangedDocumentContext",
        "ram:GuidelineSpecifiedDocumentContextParameter",
        "ram:ID",
        text=GUIDELINE,
    )
    head = _put(root, "rsm:ExchangedDocument")
    _text(head, "ram:ID", paper.number)
    _text(head, "ram:TypeCode", _CREDIT_NOTE if paper.is_credit else _INVOICE)
    _date(_put(head, "ram:IssueDateTime"), paper.issued_on)
    trade = _put(root, "rsm:SupplyChainTradeTransaction")
    for line in paper.lines:
        _line(trade, line)
    _agreement(trade, paper)
    done = _put(trade, "ram:ApplicableHeaderTradeDelivery", "ram:ActualDeliverySupplyChainEvent")
    _date(_put(done, "ram:OccurrenceDateTime"), paper.period[1] if paper.period else paper.issued_on)  # BT-72
    _settlement(trade, paper)
    Tree.indent(root)
    text: bytes = Tree.tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + text + b"\n"


def _require_one_tax_a_rate(paper: Paper) -> None:
    for tax in _together(paper):
        wanted = Fraction(tax.base.minor * tax.millionths, 1_000_000)
        if abs(tax.tax.minor - wanted) >= 10 ** digits(paper.currency):
            raise TaxesApart(paper.number, tax.tax, Money(half_up(wanted), paper.currency))


def _require(paper: Paper) -> None:
    if digits(paper.currency) > 2:
        raise CurrencyTooFine(paper.number, paper.currency)
    _require_one_tax_a_rate(paper)
    where = f"write it in trunkline.yaml under entities for {paper.seller.name}"
    if not paper.seller.country:
        raise FactMissing("the seller's country", where)
    if not (paper.seller.vat or paper.seller.registration):
        raise FactMissing("the seller's VAT identifier or registration", where)
    if not paper.buyer.vat and any(tax.code == "AE" for tax in paper.taxes):
        raise FactMissing(
            f"the VAT identifier of {paper.account}, who is to pay the tax",
            f"trunkline billing contact {paper.account} --vat DE123456789",
        )
    if not paper.buyer.country:
        raise FactMissing(
            f"the country of {paper.account}", f"trunkline billing contact {paper.account} --country AU"
        )


def _line(trade: Tree.Element, line: PaperLine) -> None:
    item = _put(trade, "ram:IncludedSupplyChainTradeLineItem")
    _put(item, "ram:AssociatedDocumentLineDocument", "ram:LineID", text=str(line.position))  # BT-126
    _put(item, "ram:SpecifiedTradeProduct", "ram:Name", text=line.description)  # BT-153
    price = Money(abs(line.net.minor), line.net.currency)
    _put(
        item,
        "ram:SpecifiedLineTradeAgreement",
        "ram:NetPriceProductTradePrice",
        "ram:ChargeAmount",
        text=_amount(price),
    )  # BT-146
    quantity = _put(item, "ram:SpecifiedLineTradeDelivery", "ram:BilledQuantity")
    quantity.text = "-1" if line.net.minor < 0 else "1"
    quantity.set("unitCode", _PIECE)
    settled = _put(item, "ram:SpecifiedLineTradeSettlement")
    _tax_kind(_put(settled, "ram:ApplicableTradeTax"), line.code, line.millionths)
    if line.first and line.last:
        _period(settled, line.first, line.last)  # BT-134, BT-135
    _put(
        settled,
        "ram:SpecifiedTradeSettlementLineMonetarySummation",
        "ram:LineTotalAmount",
        text=_amount(line.net),
    )


def _agreement(trade: Tree.Element, paper: Paper) -> None:
    agreed = _put(trade, "ram:ApplicableHeaderTradeAgreement")
    _seller(_put(agreed, "ram:SellerTradeParty"), paper.seller)
    _buyer(_put(agreed, "ram:BuyerTradeParty"), paper.buyer, paper.account)


def _seller(element: Tree.Element, seller: Seller) -> None:
    _text(element, "ram:Name", seller.name)  # BT-27
    if seller.registration:
        _put(element, "ram:SpecifiedLegalOrganization", "ram:ID", text=seller.registration)  # BT-30
    if seller.phone or seller.email:
        contact = _put(element, "ram:DefinedTradeContact")
        _text(contact, "ram:PersonName", seller.name)
        if seller.phone:
            _put(contact, "ram:TelephoneUniversalCommunication", "ram:CompleteNumber", text=seller.phone)
        if seller.email:
            _put(contact, "ram:EmailURIUniversalCommunication", "ram:URIID", text=seller.email)
    _address(element, seller)
    if seller.vat:
        _registered(element, seller.vat, "VA")  # BT-31
    elif seller.registration:
        _registered(element, seller.registration, "FC")  # BT-32


def _buyer(element: Tree.Element, buyer: Party, account: str) -> None:
    _text(element, "ram:ID", account)  # BT-46
    _text(element, "ram:Name", buyer.name)  # BT-44
    if buyer.registration:
        _put(element, "ram:SpecifiedLegalOrganization", "ram:ID", text=buyer.registration)  # BT-47
    _address(element, buyer)
    if buyer.vat:
        _registered(element, buyer.vat, "VA")  # BT-48


def _address(element: Tree.Element, party: Party) -> None:
    place = _put(element, "ram:PostalTradeAddress")
    if party.postcode:
        _text(place, "ram:PostcodeCode", party.postcode)
    for tag, line in zip(("LineOne", "LineTwo", "LineThree"), _three(party.address), strict=False):
        _text(place, f"ram:{tag}", line)
    if party.city:
        _text(place, "ram:CityName", party.city)
    _text(place, "ram:CountryID", party.country)


def _three(lines: Sequence[str]) -> list[str]:
    """The standard has three lines of an address."""
    return [*lines[:2], ", ".join(lines[2:])] if len(lines) > 3 else list(lines)


def _registered(element: Tree.Element, number: str, scheme: str) -> None:
    _put(element, "ram:SpecifiedTaxRegistration", "ram:ID", text=number).set("schemeID", scheme)


def _settlement(trade: Tree.Element, paper: Paper) -> None:
    settled = _put(trade, "ram:ApplicableHeaderTradeSettlement")
    if not paper.is_credit:
        _text(settled, "ram:PaymentReference", paper.reference)  # BT-83
    _text(settled, "ram:InvoiceCurrencyCode", paper.currency)  # BT-5
    _means(settled, paper)
    for tax in _together(paper):
        _subtotal(settled, tax)
    if paper.period:
        _period(settled, *paper.period)  # BT-73, BT-74
    terms = _put(settled, "ram:SpecifiedTradePaymentTerms")
    if paper.due_on:
        _date(_put(terms, "ram:DueDateDateTime"), paper.due_on)  # BT-9
    else:
        _text(terms, "ram:Description", "Credited to your account")  # BT-20
    _sums(settled, paper)
    for number in paper.credits[:1]:
        _put(settled, "ram:InvoiceReferencedDocument", "ram:IssuerAssignedID", text=number)  # BT-25


def _means(settled: Tree.Element, paper: Paper) -> None:
    means = _put(settled, "ram:SpecifiedTradeSettlementPaymentMeans")
    _text(means, "ram:TypeCode", _SEPA_TRANSFER if paper.seller.iban else _UNDEFINED)  # BT-81
    if paper.seller.iban:
        _put(means, "ram:PayeePartyCreditorFinancialAccount", "ram:IBANID", text=paper.seller.iban)  # BT-84
        if paper.seller.bic:
            _put(means, "ram:PayeeSpecifiedCreditorFinancialInstitution", "ram:BICID", text=paper.seller.bic)


def _together(paper: Paper) -> list[PaperTax]:
    """One subtotal for each code and rate, as the standard wants (BR-S-08 and its like)."""
    found: dict[tuple[str, int], PaperTax] = {}
    for tax in paper.taxes:
        place = (tax.code, tax.millionths)
        other = found.get(place)
        found[place] = tax if other is None else _sum(other, tax)
    return list(found.values())


def _sum(one: PaperTax, other: PaperTax) -> PaperTax:
    return PaperTax(
        category=one.category, code=one.code, millionths=one.millionths, base=one.base + other.base,
        tax=one.tax + other.tax, reason=one.reason,
    )  # fmt: skip


def _subtotal(settled: Tree.Element, tax: PaperTax) -> None:
    element = _put(settled, "ram:ApplicableTradeTax")
    _text(element, "ram:CalculatedAmount", _amount(tax.tax))  # BT-117
    _text(element, "ram:TypeCode", "VAT")
    if tax.code != STANDARD and tax.code != "Z":
        _text(element, "ram:ExemptionReason", tax.reason)  # BT-120
    _text(element, "ram:BasisAmount", _amount(tax.base))  # BT-116
    _text(element, "ram:CategoryCode", tax.code)  # BT-118
    if tax.code != "O":
        _text(element, "ram:RateApplicablePercent", _percent(tax.millionths))  # BT-119


def _tax_kind(element: Tree.Element, code: str, millionths: int) -> None:
    _text(element, "ram:TypeCode", "VAT")
    _text(element, "ram:CategoryCode", code)  # BT-151
    if code != "O":
        _text(element, "ram:RateApplicablePercent", _percent(millionths))  # BT-152


def _sums(settled: Tree.Element, paper: Paper) -> None:
    sums = _put(settled, "ram:SpecifiedTradeSettlementHeaderMonetarySummation")
    _text(sums, "ram:LineTotalAmount", _amount(paper.net))  # BT-106
    _text(sums, "ram:TaxBasisTotalAmount", _amount(paper.net))  # BT-109
    tax = _text(sums, "ram:TaxTotalAmount", _amount(paper.tax))  # BT-110
    tax.set("currencyID", paper.currency)
    _text(sums, "ram:GrandTotalAmount", _amount(paper.total))  # BT-112
    _text(sums, "ram:DuePayableAmount", _amount(paper.total))  # BT-115


def _period(element: Tree.Element, first: date, last: date) -> None:
    period = _put(element, "ram:BillingSpecifiedPeriod")
    _date(_put(period, "ram:StartDateTime"), first)
    _date(_put(period, "ram:EndDateTime"), last)


def _date(element: Tree.Element, day: date) -> None:
    _text(element, "udt:DateTimeString", day.strftime("%Y%m%d")).set("format", "102")


def _amount(money: Money) -> str:
    return str(money).split()[-1]


def _percent(millionths: int) -> str:
    return f"{millionths / 10_000:.4f}".rstrip("0").rstrip(".") or "0"


def _put(parent: Tree.Element, *tags: str, text: str = "") -> Tree.Element:
    """Elements inside each other; returns the innermost, which gets the text."""
    element = parent
    for tag in tags:
        element = Tree.SubElement(element, _name(tag))
    if text:
        element.text = text.translate(_FORBIDDEN)
    return element


def _text(parent: Tree.Element, tag: str, text: str) -> Tree.Element:
    return _put(parent, tag, text=text)


def _name(tag: str) -> str:
    prefix, _, local = tag.partition(":")
    return f"{{{_SPACES[prefix]}}}{local}"
