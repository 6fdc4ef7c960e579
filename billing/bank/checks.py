"""Numbers with check digits: IBAN (ISO 13616), creditor reference (ISO 11649), SEPA creditor identifier. Pure."""

import re

_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_LENGTHS = (
    "AD24 AT20 BE16 BG22 CH21 CY28 CZ24 DE22 DK18 EE20 ES24 FI18 FR27 GB22 GI23 GR27 HR21 HU28 IE22 IS26 IT27 LI21 "
    "LT20 LU20 LV21 MC27 MT31 NL18 NO15 PL28 PT25 RO24 SE24 SI19 SK24 SM27 VA22"
)
_LENGTH = {one[:2]: int(one[2:]) for one in _LENGTHS.split()}
_REFERENCE = re.compile(r"RF[0-9]{2}[A-Z0-9]{1,21}")
_CREDITOR = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{3}[A-Z0-9]{1,28}")
_BIC = re.compile(r"[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?")


def compact(text: str) -> str:
    """Without blanks, in capitals: as machines write it."""
    return "".join(text.split()).upper()


def is_iban(text: str) -> bool:
    """Whether a compact text is an IBAN: its shape, its country's length (of SEPA), its check digits."""
    fits = _IBAN.fullmatch(text) is not None and _LENGTH.get(text[:2], len(text)) == len(text)
    return fits and _rest(text[4:] + text[:4]) == 1


def masked(iban: str) -> str:
    """As people are shown it: country, check digits and the last four, `DE89…3000`."""
    return f"{iban[:4]}…{iban[-4:]}"


def is_bic(text: str) -> bool:
    """Whether a text is shaped like a BIC of eight or eleven."""
    return _BIC.fullmatch(text) is not None


def is_creditor_id(text: str) -> bool:
    """Whether a text is a SEPA creditor identifier; its business code (characters 5 to 7) is not checked."""
    return _CREDITOR.fullmatch(text) is not None and _rest(text[7:] + text[:4]) == 1


def reference_of(number: str) -> str | None:
    """The creditor reference of an invoice's number: `INV-000017` is `RF..INV000017`; None where it is too long."""
    body = re.sub(r"[^A-Z0-9]", "", number.upper())
    if not 1 <= len(body) <= 21:
        return None
    return f"RF{98 - _rest(f'{body}RF00'):02d}{body}"


def read_reference(text: str) -> str | None:
    """What a creditor reference refers to, its check digits checked; None where it is none."""
    found = compact(text)
    if not _REFERENCE.fullmatch(found) or _rest(found[4:] + found[:4]) != 1:
        return None
    return found[4:]


def _rest(text: str) -> int:
    return int("".join(str(int(one, 36)) for one in text)) % 97
