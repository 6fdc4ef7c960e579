"""The letter that goes with a document: text and HTML by language, the PDF and the e-invoice with it. Pure."""

import hashlib
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape

from billing.papers.paper import Paper

LETTERS = {
    "en": ("Invoice {number} of {seller}", "Credit note {number} of {seller}", "Dear {buyer},",
           "here is your invoice {number} over {total}. Please pay it by {due}; the reference is {reference}.",
           "here is your credit note {number} over {total}. It is credited to your account.", "Kind regards"),
    "de": ("Rechnung {number} von {seller}", "Rechnungskorrektur {number} von {seller}", "Guten Tag {buyer},",
           "anbei die Rechnung {number} über {total}. Bitte zahlen Sie bis {due}; Verwendungszweck {reference}.",
           "anbei die Rechnungskorrektur {number} über {total}. Der Betrag wird Ihrem Konto gutgeschrieben.",
           "Freundliche Grüße"),
    "fr": ("Facture {number} de {seller}", "Avoir {number} de {seller}", "Bonjour {buyer},",
           "voici votre facture {number} de {total}, à payer avant le {due}, référence {reference}.",
           "voici votre avoir {number} de {total}, porté au crédit de votre compte.", "Cordialement"),
    "es": ("Factura {number} de {seller}", "Factura rectificativa {number} de {seller}", "Hola, {buyer}:",
           "adjuntamos la factura {number} por {total}. Páguela antes del {due}; referencia {reference}.",
           "adjuntamos la factura rectificativa {number} por {total}, abonada en su cuenta.", "Saludos"),
}  # fmt: skip
"""Subject of an invoice, of a credit note; greeting; what is said of an invoice, of a credit note; the end."""


def message_id(invoice: str, purpose: str, sender: str) -> str:
    """The same for a document and a purpose, whenever it is sent: who gets it twice can tell."""
    digest = hashlib.sha256(f"{invoice}:{purpose}".encode()).hexdigest()[:32]
    return f"<{digest}@{sender.rpartition('@')[2]}>"


def letter(
    paper: Paper,
    pdf: bytes,
    xml: bytes | None,
    *,
    sender: str,
    recipient: str,
    identifier: str,
    moment: datetime,
) -> EmailMessage:
    """The message. Raises ValueError where an address is none."""
    about, about_note, dear, body, body_note, regards = LETTERS.get(paper.seller.language, LETTERS["en"])
    told = {
        "number": paper.number, "seller": _line(paper.seller.name), "buyer": _line(paper.buyer.name),
        "total": str(paper.total), "due": str(paper.due_on), "reference": paper.reference,
    }  # fmt: skip
    said = [dear, body_note if paper.is_credit else body, f"{regards}\n{_line(paper.seller.name)}"]
    paragraphs = [one.format(**told) for one in said]
    made = EmailMessage()
    made["From"] = Address(told["seller"], addr_spec=sender)
    made["To"] = Address(addr_spec=recipient)
    made["Subject"] = (about_note if paper.is_credit else about).format(**told)
    made["Date"] = format_datetime(moment)
    made["Message-ID"] = identifier
    made["Auto-Submitted"] = "auto-generated"
    made.set_content("\n\n".join(paragraphs) + "\n")
    inner = "".join(f"<p>{escape(one).replace(chr(10), '<br>')}</p>" for one in paragraphs)
    made.add_alternative(
        f'<!doctype html><html lang="{paper.seller.language}"><head><meta charset="utf-8">'
        f"<title>{escape(made['Subject'])}</title></head><body>{inner}</body></html>\n",
        subtype="html",
    )
    made.add_attachment(pdf, maintype="application", subtype="pdf", filename=f"{paper.number}.pdf")
    if xml is not None:
        made.add_attachment(xml, maintype="application", subtype="xml", filename=f"{paper.number}.xml")
    return made


def _line(text: str) -> str:
    """Within one line: a name with a line break must not begin a header of its own."""
    return " ".join(text.split())
