"""Letters as pages, the address where the window of the envelope is. Pure besides the printer.

| form | paper | folded | envelope | address |
|---|---|---|---|---|
| din-b | A4 | in three | DIN 5008 form B: DL, C6/5, C4 | 25 mm from the left, 62.7 mm from the top |
| c56 | A4 | in three | ISO 269 C6/5, DL; window 20 mm left, 15 mm from below | 25 mm, 58 mm |
| us10 | Letter | in three | #10; window 7/8 in left, 1/2 in from below | 1 in, 2.5 in |
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import msgspec
from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from billing.messages.texts import Text
from billing.papers import pdf
from billing.papers.parties import Party, Seller

_ENVIRONMENT = ImmutableSandboxedEnvironment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class Form(msgspec.Struct, frozen=True):
    """Where things are, in millimetres from the sheet's edges: the address, its room, the text below."""

    paper: str
    left: float
    top: float
    width: float
    height: float
    body: float
    folds: tuple[float, ...] = ()
    points: float = 10.5
    """Of the address: its lines have the room of the window wherever the sheet lies."""


FORMS = {
    "din-b": Form("A4", 25, 62.7, 80, 27.3, 98.46, (105, 148.5, 210)),
    "c56": Form("A4", 25, 58, 80, 27, 100, (99, 198)),
    "us10": Form("Letter", 25.4, 63.5, 95, 17.1, 95, points=8.5),
}
"""By name: what `--form` takes. DIN 5008 form B has its marks at 105 mm and 210 mm, and one for the punch."""


class Page(msgspec.Struct, frozen=True):
    """A letter."""

    key: str
    account: str
    seller: Seller
    buyer: Party
    text: Text
    on: date

    @property
    def address(self) -> tuple[str, ...]:
        """The lines of the address; the country on the last one where it is another than the sender's."""
        buyer = self.buyer
        city = " ".join(one for one in (buyer.postcode, buyer.city) if one)
        if self.seller.country == "US":
            city = " ".join(one for one in (buyer.city, buyer.postcode) if one)
        abroad = buyer.country if buyer.country != self.seller.country else ""
        return tuple(one for one in (buyer.name, *buyer.address, city, abroad) if one.strip())

    @property
    def sender(self) -> str:
        """The return address in one line."""
        seller = self.seller
        city = " ".join(one for one in (seller.postcode, seller.city) if one)
        return " · ".join(one for one in (seller.name, *seller.address, city) if one)


def is_addressed(buyer: Party) -> bool:
    """Whether a letter can arrive: there is more than a name."""
    return bool(buyer.name.strip() and any(line.strip() for line in (*buyer.address, buyer.city)))


def sheet(letters: Sequence[Page], form: str) -> str:
    """The letters as HTML, each from a new sheet."""
    return _ENVIRONMENT.get_template("letters.html.j2").render(letters=letters, form=FORMS[form])


def printed(letters: Sequence[Page], form: str, identifier: str, on: date) -> bytes:
    """The letters as one PDF; the same letters, the same bytes. Raises PrinterMissing."""
    return pdf.printed(sheet(letters, form), None, identifier, on)
