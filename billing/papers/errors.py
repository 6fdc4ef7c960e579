"""What can be wrong with papers: each says what is missing, and where to say it."""

from datetime import date

from core.errors import Terminal
from core.money import Money


class NotFinal(Terminal):
    """A draft or a voided document has no paper."""

    def __init__(self, reference: str, state: str) -> None:
        super().__init__(
            f"{reference} is {state}: only a final document has a paper; the next bill run makes it final"
        )


class FactMissing(Terminal):
    """A fact that the standard wants is nowhere."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what} is missing: {remedy}")
        self.what, self.remedy = what, remedy


class GivenOutWithout(Terminal):
    """A document was made without an e-invoice, and stays so."""

    def __init__(self, missing: FactMissing) -> None:
        super().__init__(
            f"{missing.what} was missing when it was made, and a document that was given out stays as it is; a credit "
            f"note with a new invoice is the way to another. What helps those to come: {missing.remedy}"
        )


class CurrencyTooFine(Terminal):
    """EN 16931 has two decimals at most (BR-DEC rules)."""

    def __init__(self, number: str, currency: str) -> None:
        super().__init__(
            f"{number}: no e-invoice in {currency}: EN 16931 allows two decimals, {currency} has more; send the PDF"
        )


class TaxesApart(Terminal):
    """EN 16931 has one tax for each rate, off by less than a whole unit (BR-S-09): prices with and without it at one
    rate, each rounded by itself, may be a unit off where the currency has no smaller one.
    """

    def __init__(self, number: str, told: Money, wanted: Money) -> None:
        super().__init__(
            f"{number}: no e-invoice: prices with and without tax at one rate come to {told} of tax, and EN 16931 "
            f"wants {wanted}; send the PDF"
        )


class TemplateFailed(Terminal):
    """The operator's own template does not render."""

    def __init__(self, name: str, line: int, why: str) -> None:
        super().__init__(f"templates/{name}.j2:{line}:1: the invoice template fails: {why}")


class PrinterMissing(Terminal):
    """WeasyPrint's system libraries are not there."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"PDF needs Pango ({why}); install it: "
            "sudo apt-get install libpango-1.0-0 libpangoft2-1.0-0 fonts-dejavu-core"
        )


class StatementNotUsable(Terminal):
    """A statement of no days."""

    def __init__(self, account: str, since: date, until: date) -> None:
        super().__init__(
            f"a statement of {account} from {since} until {until} has no days: the end is exclusive, and later"
        )
