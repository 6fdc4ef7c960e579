"""camt.053 (ISO 20022 BankToCustomerStatement), versions 001.02 to 001.08 and later, read by local names.

Only what is booked counts. A batch is a line for each of its payments, where they add up to it; otherwise it is one
line for a person. Opening balance and entries must make the closing balance.
"""

from collections.abc import Iterator
from datetime import date

from billing.bank.checks import compact
from billing.bank.errors import StatementNotReadable, StatementWrong
from billing.bank.statement import Line, Statement
from billing.bank.tree import Node, parse
from core import days
from core.days import DayNotUsable
from core.money import AmountNotReadable, Money

_OTHERS = {
    "BkToCstmrAcctRpt": "camt.052 (a report within the day)",
    "BkToCstmrDbtCdtNtfctn": "camt.054 (a notice)",
}
_OPENING, _CLOSING = ("OPBD", "PRCD", "ITBD"), ("CLBD", "ITBD")
_NOT_GIVEN = ("NOTPROVIDED", "NONREF")


def read(raw: bytes, path: str) -> list[Statement]:
    """The statements of a file. Raises StatementNotReadable, StatementWrong."""
    root = parse(raw, path)
    message = root.first("BkToCstmrStmt") or (root if root.name == "BkToCstmrStmt" else None)
    if message is None:
        other = next((_OTHERS[one.name] for one in root.children if one.name in _OTHERS), f"<{root.name}>")
        raise StatementNotReadable(path, root.line, f"this is {other}; a statement is camt.053")
    found = [_Reader(path, node).read() for node in message.all("Stmt")]
    if not found:
        raise StatementNotReadable(path, message.line, "it has no <Stmt>")
    return found


class _Reader:
    """One <Stmt>."""

    def __init__(self, path: str, node: Node) -> None:
        self.path, self.node = path, node
        self.id = node.said("Id")
        self.account = compact(node.said("Acct/Id/IBAN", "Acct/Id/Othr/Id"))
        self.currency = node.said("Acct/Ccy") or self._currency()

    def read(self) -> Statement:
        if not self.id or not self.account:
            raise self._wrong(self.node, "a <Stmt> needs its <Id> and its account's <IBAN>")
        opening, closing = self._balance(_OPENING, 0), self._balance(_CLOSING, -1)
        entries = [one for one in self.node.all("Ntry") if self._is_booked(one)]
        lines = [line for n, entry in enumerate(entries, 1) for line in self._lines(entry, str(n))]
        total = sum(line.amount for line in lines)
        if opening is not None and closing is not None and opening + total != closing:
            said = [str(Money(one, self.currency)) for one in (opening, total, closing)]
            why = f"opening {said[0]} and entries {said[1]} do not make closing {said[2]}; ask the bank for it again"
            raise StatementWrong(self.path, self.id, why)
        number = self.node.said("ElctrncSeqNb", "LglSeqNb")
        return Statement(
            account=self.account, id=self.id, number=int(number) if number.isdigit() else None,
            currency=self.currency, opening=opening, closing=closing, closed_on=self._closed_on(lines),
            lines=tuple(lines),
        )  # fmt: skip

    def _currency(self) -> str:
        amount = self.node.first("Bal/Amt", "Ntry/Amt")
        return amount.attributes.get("Ccy", "") if amount else ""

    def _balance(self, codes: tuple[str, ...], which: int) -> int | None:
        for code in codes:
            found = [one for one in self.node.all("Bal") if one.said("Tp/CdOrPrtry/Cd") == code]
            if found:
                return self._signed(found[which])
        return None

    def _closed_on(self, lines: list[Line]) -> date:
        balances = [one for one in self.node.all("Bal") if one.said("Tp/CdOrPrtry/Cd") in _CLOSING]
        node = balances[-1] if balances else self.node
        text = node.said("Dt/Dt", "Dt/DtTm") or self.node.said("FrToDt/ToDtTm", "CreDtTm")
        return self._day(text, node) if text else max(line.booked_on for line in lines)

    def _is_booked(self, entry: Node) -> bool:
        return entry.said("Sts/Cd", "Sts/Prtry", "Sts") in ("BOOK", "")

    def _lines(self, entry: Node, place: str) -> Iterator[Line]:
        whole = self._signed(entry)
        details = list(entry.all("NtryDtls/TxDtls"))
        if len(details) < 2:
            yield self._line(entry, details[0] if details else entry, place, whole)
            return
        amounts = [self._part(one, entry) for one in details]
        if None in amounts or sum(one or 0 for one in amounts) != whole:
            yield self._line(entry, entry, place, whole)  # its parts do not add up: a person looks at it
            return
        for n, (one, amount) in enumerate(zip(details, amounts, strict=True), 1):
            yield self._line(entry, one, f"{place}.{n}", amount or 0)

    def _part(self, node: Node, entry: Node) -> int | None:
        """A payment's amount within a batch, by the version's own place for it."""
        amount = node.first("Amt", "AmtDtls/TxAmt/Amt", "AmtDtls/InstdAmt/Amt")
        if amount is None or amount.attributes.get("Ccy", self.currency) != self.currency:
            return None
        sign = -1 if (node.said("CdtDbtInd") or entry.said("CdtDbtInd")) == "DBIT" else 1
        return sign * self._minor(amount)

    def _line(self, entry: Node, node: Node, place: str, amount: int) -> Line:
        reason = node.said("RtrInf/Rsn/Cd", "RtrInf/Rsn/Prtry")
        side = "Dbtr" if amount > 0 or reason else "Cdtr"
        other = "Cdtr" if side == "Dbtr" else "Dbtr"
        unstructured = [one.text.strip() for one in node.all("RmtInf/Ustrd")]
        structured = [*node.all("RmtInf/Strd/CdtrRefInf/Ref"), *node.all("RmtInf/Strd/RfrdDocInf/Nb")]
        more = [node.said("AddtlTxInf"), entry.said("AddtlNtryInf")]
        ids = {name: node.said(f"Refs/{name}") for name in ("EndToEndId", "MndtId", "PmtInfId")}
        ids = {name: "" if text in _NOT_GIVEN else text for name, text in ids.items()}
        return Line(
            place=place, booked_on=self._booked_on(entry), amount=amount, currency=self.currency,
            reversal=entry.said("RvslInd") in ("true", "1"), end_to_end=ids["EndToEndId"], mandate=ids["MndtId"],
            payment_info=ids["PmtInfId"] or entry.said("NtryDtls/Btch/PmtInfId"),
            bank_reference=node.said("Refs/AcctSvcrRef") or entry.said("AcctSvcrRef", "NtryRef"),
            references=tuple(one.text.strip() for one in structured if one.text.strip()),
            text=" ".join(one for one in [*unstructured, *more] if one),
            name=self._name(node, side, other), iban=compact(node.said(f"RltdPties/{side}Acct/Id/IBAN")),
            reason=reason,
        )  # fmt: skip

    def _name(self, node: Node, side: str, other: str) -> str:
        return node.said(f"RltdPties/{side}/Nm", f"RltdPties/{side}/Pty/Nm", f"RltdPties/Ultmt{side}/Nm",
                         f"RltdPties/{other}/Nm", f"RltdPties/{other}/Pty/Nm")  # fmt: skip

    def _booked_on(self, entry: Node) -> date:
        text = entry.said("BookgDt/Dt", "BookgDt/DtTm", "ValDt/Dt", "ValDt/DtTm")
        return self._day(text, entry)

    def _day(self, text: str, node: Node) -> date:
        try:
            return days.require(date.fromisoformat(text[:10]))
        except DayNotUsable as error:
            raise self._wrong(node, str(error)) from error
        except ValueError as error:
            raise self._wrong(node, f"'{text[:30]}' is no date") from error

    def _signed(self, node: Node) -> int:
        amount, way = node.first("Amt"), node.said("CdtDbtInd")
        if amount is None or way not in ("CRDT", "DBIT"):
            raise self._wrong(node, f"<{node.name}> needs an <Amt> and a <CdtDbtInd> of CRDT or DBIT")
        if amount.attributes.get("Ccy", self.currency) != self.currency:
            raise self._wrong(amount, f"it is in {amount.attributes['Ccy']}, the account in {self.currency}")
        return self._minor(amount) * (-1 if way == "DBIT" else 1)

    def _minor(self, amount: Node) -> int:
        try:
            return Money.parse(amount.text.strip(), self.currency).minor
        except AmountNotReadable as error:
            raise self._wrong(amount, str(error)) from error

    def _wrong(self, node: Node, why: str) -> StatementNotReadable:
        return StatementNotReadable(self.path, node.line, why)
