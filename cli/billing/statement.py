"""`trunkline billing statement`: what an account owed, what happened, what it owes."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.answer import answer


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(statement)


def statement(
    account: Annotated[str, typer.Argument(help="Billing account, say A-10001.")],
    since: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day.")],
    until: Annotated[datetime, typer.Option("--until", formats=["%Y-%m-%d"], help="The day after the last.")],
    pdf: Annotated[Path | None, typer.Option(help="Write it as PDF.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write it as CSV.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
) -> None:
    """State an account: opening, invoices, payments, credits, closing. A day closes where the next one opens."""
    from billing import accounts
    from billing.papers import parties
    from billing.papers.pdf import printed, sheet
    from billing.papers.statement import Sheet, as_csv
    from billing.papers.statement import statement as stated
    from cli.billing.papers import _write
    from cli.commands.billing import _opened
    from core import clock
    from crm.buyers import buyer

    with _opened() as here, here.reader() as reader, here.db.read() as conn:
        found = stated(conn, account, since.date(), until.date())
        entity = accounts.get(conn, account).legal_entity
        seller = parties.seller_at(conn, reader, entity, clock.now())
        known = parties.contact_at(conn, here.key, account, clock.now()) or buyer(here.key)(conn, account)
    written = []
    if csv is not None:
        written.append(str(_write(csv, as_csv(found).encode())))
    if pdf is not None:
        page = sheet(Sheet(statement=found, seller=seller, buyer=known))
        written.append(
            str(_write(pdf, printed(page, None, f"{account}/{found.first}/{found.last}", found.last)))
        )
    rows = [("", found.first, "opening", "", found.opening)]
    rows += [(str(one.amount), one.on, one.kind, one.reference, one.balance) for one in found.entries]
    rows += [("", found.last, "closing", "", found.closing)]
    lines = [
        f"{on}  {kind:<14} {reference:<24} {amount:>16} {balance!s:>16}"
        for amount, on, kind, reference, balance in rows
    ]
    entries = [
        {"on": str(one.on), "kind": one.kind, "reference": one.reference, "amount": str(one.amount),
         "balance": str(one.balance)}
        for one in found.entries
    ]  # fmt: skip
    answer(
        "billing-statement", text="\n".join([*lines, *written]), as_json=as_json, account=account,
        first=str(found.first), last=str(found.last), opening=str(found.opening), closing=str(found.closing),
        entries=entries, sums={kind: str(amount) for kind, amount in found.sums.items()}, written=written,
    )  # fmt: skip
