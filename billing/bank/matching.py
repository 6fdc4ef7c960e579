"""What a line of a statement is for, from its references, text, IBAN and amount. Pure; `looking` asks the database.

| rule | confidence |
|---|---|
| creditor-reference: `RF..` whose check digits are right | 100 |
| invoice-number in a reference or the text | 95 where the amount is what is open, 90 otherwise |
| account-number in the text | 90 |
| iban that paid for one account before, or has its mandate | 80 where the amount is one that is open, 60 otherwise |
| amount that only one open invoice has | 40 |

From THRESHOLD on it is done by itself. Two accounts by one rule, or another currency, are left to a person.
"""

import re
from collections.abc import Iterable, Sequence

import msgspec

from billing.bank.checks import read_reference

CREDITOR_REFERENCE, INVOICE_NUMBER, ACCOUNT_NUMBER, IBAN, AMOUNT = (
    "creditor-reference", "invoice-number", "account-number", "iban", "amount",
)  # fmt: skip
THRESHOLD = 80
_ACCOUNT = re.compile(r"(?<![A-Z0-9])A-?([0-9]{5,9})(?![0-9])")


class Hit(msgspec.Struct, frozen=True):
    """An account that a line may be for. `open_`: what is open of the invoices that are named, or of each that is."""

    rule: str
    account: str
    currency: str
    invoices: tuple[str, ...] = ()
    open_: tuple[int, ...] = ()


class Decision(msgspec.Struct, frozen=True):
    """`account` None: a person decides, `told` says why, `hints` are accounts to look at."""

    account: str | None
    rule: str = ""
    confidence: int = 0
    invoices: tuple[str, ...] = ()
    told: str = ""
    hints: tuple[str, ...] = ()


def numbers_in(texts: Iterable[str], entities: Sequence[str]) -> tuple[list[str], list[str]]:
    """Invoice numbers that are named: (by creditor references that are right, otherwise), as they are printed.

    Banks and people leave the dashes out: `INV000017`, `inv west 17`'s zeros must be there. `entities`: ours.
    """
    by_reference: list[str] = []
    otherwise: list[str] = []
    for text in texts:
        body = read_reference(text)
        found = by_reference if body is not None else otherwise
        upper = (body if body is not None else text).upper()
        for entity in entities:
            for digits in _pattern(entity).findall(upper):
                prefix = "" if entity == "main" else f"{entity}-"
                found.append(f"INV-{prefix}{digits}")
    return list(dict.fromkeys(by_reference)), list(dict.fromkeys(otherwise))


def accounts_in(texts: Iterable[str]) -> list[str]:
    """Account numbers that are named: `A-10001`, also without its dash."""
    found = [f"A-{digits}" for text in texts for digits in _ACCOUNT.findall(text.upper())]
    return list(dict.fromkeys(found))


def decide(amount: int, currency: str, hits: Sequence[Hit]) -> Decision:
    """What to do with money that came in. The strongest rule wins; what is doubtful is left to a person."""
    rated = sorted(((_confidence(one, amount), one) for one in hits), key=lambda pair: -pair[0])
    hints = tuple(dict.fromkeys(one.account for _, one in rated))
    if not rated:
        return Decision(None, told="nothing in it names an invoice or an account")
    best, first = rated[0]
    rivals = {one.account for confidence, one in rated if confidence == best}
    if len(rivals) > 1:
        return Decision(
            None, first.rule, best, told=f"its {first.rule} fits {' and '.join(sorted(rivals))}", hints=hints
        )
    if first.currency != currency:
        told = f"account {first.account} is kept in {first.currency}, this came in {currency}"
        return Decision(None, first.rule, best, told=told, hints=hints)
    if best < THRESHOLD:
        return Decision(
            None, first.rule, best, told=f"only its {first.rule} fits {first.account}", hints=hints
        )
    named = first.invoices if first.rule in (CREDITOR_REFERENCE, INVOICE_NUMBER) else _exact(first, amount)
    return Decision(first.account, first.rule, best, named)


def _confidence(one: Hit, amount: int) -> int:
    if one.rule == CREDITOR_REFERENCE:
        return 100
    if one.rule == INVOICE_NUMBER:
        return 95 if sum(one.open_) == amount else 90
    if one.rule == ACCOUNT_NUMBER:
        return 90
    if one.rule == IBAN:
        return 80 if amount in one.open_ or sum(one.open_) == amount else 60
    return 40


def _exact(one: Hit, amount: int) -> tuple[str, ...]:
    """The invoice whose open balance it is, where there is just one."""
    exact = [invoice for invoice, balance in zip(one.invoices, one.open_, strict=True) if balance == amount]
    return tuple(exact) if len(exact) == 1 else ()


def _pattern(entity: str) -> re.Pattern[str]:
    middle = (
        "" if entity == "main" else r"[-\s_/]?".join(map(re.escape, entity.upper().split("-"))) + r"[-\s_/]?"
    )
    return re.compile(rf"INV[-\s_/]?{middle}([0-9]{{6,}})(?![0-9])")
