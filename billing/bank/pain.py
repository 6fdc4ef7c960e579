"""pain.008 (ISO 20022 CustomerDirectDebitInitiation) for SEPA core, versions 001.02 and 001.08. Pure."""

import re
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from core.money import Money

VERSIONS = ("08", "02")
"""The newest first; 02 is what some banks still ask for."""
SEQUENCES = ("FRST", "RCUR", "OOFF", "FNAL")
_NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:pain.008.001."
_ALLOWED = re.compile(r"[^A-Za-z0-9/\-?:().,'+ ]")
_IDENTIFIER = re.compile(r"(?!/)(?!.*//)[A-Za-z0-9+?/\-:().,']{1,35}(?<!/)")
_WRITTEN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "æ": "ae",
                          "Æ": "Ae", "ø": "oe", "Ø": "Oe", "å": "aa", "Å": "Aa", "ł": "l", "Ł": "L", "đ": "d",
                          "&": "+", "_": "-", "@": "(at)", "€": "EUR"})  # fmt: skip


class Creditor(msgspec.Struct, frozen=True):
    """Who collects."""

    name: str
    creditor_id: str
    iban: str
    bic: str | None = None


class Debit(msgspec.Struct, frozen=True, kw_only=True):
    """One direct debit. `sequence` is of SEQUENCES."""

    end_to_end: str
    amount: Money
    mandate: str
    signed_on: date
    holder: str
    iban: str
    bic: str | None
    text: str
    sequence: str


def plain(text: str, longest: int) -> str:
    """A text in the characters that every SEPA bank takes: `Müller & Söhne` is `Mueller + Soehne`."""
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFC", text).translate(_WRITTEN))
    bare = "".join(one for one in apart if not unicodedata.combining(one))
    return " ".join(_ALLOWED.sub(".", bare).split())[:longest].strip()


def is_identifier(text: str) -> bool:
    """Whether banks take a text as a reference: no blanks, no slash at either end, no two slashes together."""
    return _IDENTIFIER.fullmatch(text) is not None


def payment_info(message: str, sequence: str) -> str:
    """The id of a message's part for a sequence type."""
    return f"{message}-{sequence}"


def write(
    creditor: Creditor,
    message: str,
    collect_on: date,
    made_at: datetime,
    debits: Sequence[Debit],
    version: str,
) -> str:
    """The file: a part for each sequence type, with its count and sum. The debits are at least one."""
    root = ET.Element("Document", {"xmlns": f"{_NAMESPACE}{version}"})
    body = ET.SubElement(root, "CstmrDrctDbtInitn")
    head = ET.SubElement(body, "GrpHdr")
    _text(head, "MsgId", message)
    _text(head, "CreDtTm", made_at.replace(microsecond=0, tzinfo=None).isoformat())
    _sums(head, debits)
    _text(ET.SubElement(head, "InitgPty"), "Nm", creditor.name)
    for sequence in SEQUENCES:
        mine = [one for one in debits if one.sequence == sequence]
        if mine:
            _part(ET.SubElement(body, "PmtInf"), creditor, message, collect_on, sequence, mine, version)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _part(
    part: ET.Element, creditor: Creditor, message: str, collect_on: date, sequence: str, debits: Sequence[Debit],
    version: str,
) -> None:  # fmt: skip
    _text(part, "PmtInfId", payment_info(message, sequence))
    _text(part, "PmtMtd", "DD")
    _text(part, "BtchBookg", "true")
    _sums(part, debits)
    kind = ET.SubElement(part, "PmtTpInf")
    _text(ET.SubElement(kind, "SvcLvl"), "Cd", "SEPA")
    _text(ET.SubElement(kind, "LclInstrm"), "Cd", "CORE")
    _text(kind, "SeqTp", sequence)
    _text(part, "ReqdColltnDt", collect_on.isoformat())
    _text(ET.SubElement(part, "Cdtr"), "Nm", creditor.name)
    _account(ET.SubElement(part, "CdtrAcct"), creditor.iban)
    _agent(ET.SubElement(part, "CdtrAgt"), creditor.bic, version)
    _text(part, "ChrgBr", "SLEV")
    scheme = ET.SubElement(ET.SubElement(ET.SubElement(part, "CdtrSchmeId"), "Id"), "PrvtId")
    other = ET.SubElement(scheme, "Othr")
    _text(other, "Id", creditor.creditor_id)
    _text(ET.SubElement(other, "SchmeNm"), "Prtry", "SEPA")
    for one in debits:
        _debit(ET.SubElement(part, "DrctDbtTxInf"), one, version)


def _debit(node: ET.Element, one: Debit, version: str) -> None:
    _text(ET.SubElement(node, "PmtId"), "EndToEndId", one.end_to_end)
    amount = _text(node, "InstdAmt", _number(one.amount))
    amount.set("Ccy", one.amount.currency)
    mandate = ET.SubElement(ET.SubElement(node, "DrctDbtTx"), "MndtRltdInf")
    _text(mandate, "MndtId", one.mandate)
    _text(mandate, "DtOfSgntr", one.signed_on.isoformat())
    _agent(ET.SubElement(node, "DbtrAgt"), one.bic, version)
    _text(ET.SubElement(node, "Dbtr"), "Nm", plain(one.holder, 70))
    _account(ET.SubElement(node, "DbtrAcct"), one.iban)
    _text(ET.SubElement(node, "RmtInf"), "Ustrd", plain(one.text, 140))


def _sums(node: ET.Element, debits: Sequence[Debit]) -> None:
    _text(node, "NbOfTxs", str(len(debits)))
    _text(node, "CtrlSum", _number(Money(sum(one.amount.minor for one in debits), "EUR")))


def _account(node: ET.Element, iban: str) -> None:
    _text(ET.SubElement(node, "Id"), "IBAN", iban)


def _agent(node: ET.Element, bic: str | None, version: str) -> None:
    institution = ET.SubElement(node, "FinInstnId")
    if bic:
        _text(institution, "BIC" if version == "02" else "BICFI", bic)
    else:
        _text(ET.SubElement(institution, "Othr"), "Id", "NOTPROVIDED")


def _number(amount: Money) -> str:
    return str(amount).partition(" ")[2]


def _text(node: ET.Element, name: str, text: str) -> ET.Element:
    child = ET.SubElement(node, name)
    child.text = text
    return child
