"""The PDF: PDF/A-3a with the e-invoice in it, tagged for who does not see it (ISO 19005-3, ISO 14289-1)."""

import base64
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from billing.papers.errors import PrinterMissing, TemplateFailed
from billing.papers.paper import Paper
from billing.papers.statement import Sheet
from billing.papers.words import STATEMENT, WORDS
from billing.tax import rate_text
from intents.reader import Reader

E_INVOICE = "factur-x.xml"
_FOLDER = Path(__file__).parent / "templates"


def _css(text: str) -> str:
    """A text within a string of CSS."""
    return "".join(char if char.isalnum() or char in " -_." else f"\\{ord(char):x} " for char in text)


def _fours(text: str) -> str:
    """In groups of four, as people read long numbers."""
    return " ".join(text[place : place + 4] for place in range(0, len(text), 4))


_ENVIRONMENT = ImmutableSandboxedEnvironment(
    loader=FileSystemLoader(_FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {"css": _css, "fours": _fours, "rate": rate_text}


def page(paper: Paper, reader: Reader) -> str:
    """The document as HTML: by `templates/invoice/<legal entity>.j2` of the repository, else by ours.

    The logo is `templates/invoice/<legal entity>.svg.j2`. Raises TemplateFailed with the template's line.
    """
    entity = paper.entity
    own = reader.get("template", f"invoice/{entity}")
    logo = reader.get("template", f"invoice/{entity}.svg")
    values: dict[str, Any] = {
        "paper": paper, "words": WORDS.get(paper.seller.language, WORDS["en"]),
        "logo": "" if logo is None else _inline(str(logo.source)),
    }  # fmt: skip
    try:
        if own is None:
            return _ENVIRONMENT.get_template("invoice.html.j2").render(values)
        return _ENVIRONMENT.from_string(str(own.source)).render(values)
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise TemplateFailed(f"invoice/{entity}", _line_of(error), str(error)) from error


def sheet(found: Sheet) -> str:
    """A statement as HTML, to be printed."""
    seller = found.seller
    words = WORDS.get(seller.language, WORDS["en"]) | STATEMENT.get(seller.language, STATEMENT["en"])
    return _ENVIRONMENT.get_template("statement.html.j2").render(sheet=found, words=words)


def printed(text: str, e_invoice: bytes | None, identifier: str, on: date) -> bytes:
    """The PDF of an HTML page of the day `on`, with the e-invoice where there is one; the same input, the same bytes.

    Raises PrinterMissing.
    """
    try:
        from weasyprint import HTML, Attachment, URLFetcher
    except OSError as error:
        raise PrinterMissing(str(error).splitlines()[0]) from error
    attached, xmp = [], []
    if e_invoice is not None:
        moment = datetime.combine(on, time(), UTC)
        one = Attachment(
            string=e_invoice, name=E_INVOICE, description="Factur-X", relationship="Alternative",
            created=moment, modified=moment,
        )  # fmt: skip
        attached.append(one)
        xmp.append(_FOLDER / "factur-x.xmp")
    itself = URLFetcher(
        allowed_protocols={"data"}
    )  # a page shows what it carries and loads nothing from anywhere
    made: bytes = HTML(string=text, url_fetcher=itself).write_pdf(
        pdf_variant="pdf/a-3a", pdf_tags=True, pdf_identifier=identifier.encode(), attachments=attached,
        xmp_metadata=xmp,
    )  # fmt: skip
    return made


def _inline(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _line_of(error: Exception) -> int:
    """The line of the template where it happened."""
    if lineno := getattr(error, "lineno", None):
        return int(lineno)
    found, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in ("<template>", str(_FOLDER / "invoice.html.j2")):
            found = trace.tb_lineno
        trace = trace.tb_next
    return found
