"""Bank statements for tests, as banks write them: camt.053 of any version, line by line."""

from collections.abc import Sequence
from datetime import date
from xml.sax.saxutils import escape

OURS = "DE89370400440532013000"
THEIRS = "GB33BUKB20201555555555"


def statement(
    *entries: str, opening: str = "0.00", closing: str, name: str = "S-1", number: int = 1, version: str = "02",
    on: date = date(2026, 1, 5), iban: str = OURS, currency: str = "EUR",
) -> bytes:  # fmt: skip
    """A file with one statement; balances below zero are written as debits."""
    namespace = f"urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}"
    balances = _balance("OPBD", opening, currency, on) + _balance("CLBD", closing, currency, on)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<c:Document xmlns:c="{namespace}"><c:BkToCstmrStmt>
<c:GrpHdr><c:MsgId>M</c:MsgId><c:CreDtTm>{on}T23:00:00</c:CreDtTm></c:GrpHdr>
<c:Stmt><c:Id>{name}</c:Id><c:ElctrncSeqNb>{number}</c:ElctrncSeqNb><c:CreDtTm>{on}T23:00:00</c:CreDtTm>
<c:Acct><c:Id><c:IBAN>{iban}</c:IBAN></c:Id><c:Ccy>{currency}</c:Ccy></c:Acct>
{balances}{"".join(entries)}
</c:Stmt></c:BkToCstmrStmt></c:Document>
""".encode()


def _balance(code: str, amount: str, currency: str, on: date) -> str:
    way = "DBIT" if amount.startswith("-") else "CRDT"
    return (
        f"<c:Bal><c:Tp><c:CdOrPrtry><c:Cd>{code}</c:Cd></c:CdOrPrtry></c:Tp>"
        f'<c:Amt Ccy="{currency}">{amount.lstrip("-")}</c:Amt><c:CdtDbtInd>{way}</c:CdtDbtInd>'
        f"<c:Dt><c:Dt>{on}</c:Dt></c:Dt></c:Bal>\n"
    )


def entry(
    amount: str, *parts: str, version: str = "02", on: date = date(2026, 1, 5), status: str = "BOOK",
    reversal: bool = False, info: str = "", currency: str = "EUR", more: str = "",
) -> str:  # fmt: skip
    """An entry: `amount` below zero went out; `parts` are its transactions; `info`: the batch's PmtInfId."""
    way = "DBIT" if amount.startswith("-") else "CRDT"
    status = f"<c:Cd>{status}</c:Cd>" if version >= "08" else status
    batch = f"<c:Btch><c:PmtInfId>{info}</c:PmtInfId></c:Btch>" if info else ""
    return (
        f'<c:Ntry><c:Amt Ccy="{currency}">{amount.lstrip("-")}</c:Amt><c:CdtDbtInd>{way}</c:CdtDbtInd>'
        f"{'<c:RvslInd>true</c:RvslInd>' if reversal else ''}<c:Sts>{status}</c:Sts>"
        f"<c:BookgDt><c:Dt>{on}</c:Dt></c:BookgDt><c:NtryDtls>{batch}{''.join(parts)}</c:NtryDtls>"
        f"{f'<c:AddtlNtryInf>{escape(more)}</c:AddtlNtryInf>' if more else ''}</c:Ntry>\n"
    )


def part(
    *, amount: str = "", text: Sequence[str] = (), reference: str = "", end_to_end: str = "NOTPROVIDED",
    name: str = "", iban: str = "", reason: str = "", mandate: str = "", version: str = "02", side: str = "Dbtr",
    currency: str = "EUR",
) -> str:  # fmt: skip
    """A transaction of an entry, where the version has its amount and names."""
    refs = f"<c:EndToEndId>{end_to_end}</c:EndToEndId>" + (
        f"<c:MndtId>{mandate}</c:MndtId>" if mandate else ""
    )
    money = f'<c:Amt Ccy="{currency}">{amount}</c:Amt>'
    inside = money if version >= "08" else f"<c:AmtDtls><c:TxAmt>{money}</c:TxAmt></c:AmtDtls>"
    named = f"<c:Nm>{escape(name)}</c:Nm>"
    party = f"<c:{side}>{f'<c:Pty>{named}</c:Pty>' if version >= '08' else named}</c:{side}>" if name else ""
    account = f"<c:{side}Acct><c:Id><c:IBAN>{iban}</c:IBAN></c:Id></c:{side}Acct>" if iban else ""
    structured = (
        f"<c:Strd><c:CdtrRefInf><c:Ref>{reference}</c:Ref></c:CdtrRefInf></c:Strd>" if reference else ""
    )
    remittance = "".join(f"<c:Ustrd>{escape(one)}</c:Ustrd>" for one in text) + structured
    back = f"<c:RtrInf><c:Rsn><c:Cd>{reason}</c:Cd></c:Rsn></c:RtrInf>" if reason else ""
    return (
        f"<c:TxDtls><c:Refs>{refs}</c:Refs>{inside if amount else ''}<c:RltdPties>{party}{account}</c:RltdPties>"
        f"<c:RmtInf>{remittance}</c:RmtInf>{back}</c:TxDtls>"
    )
