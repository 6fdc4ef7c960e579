"""`trunkline billing report …`: trial balance, aged receivables, tax, deferred revenue, metrics; text, JSON or CSV."""

import csv
import sys
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any

import typer

from cli.answer import answer

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Csv = Annotated[bool, typer.Option("--csv", help="Answer as CSV, amounts in decimals.")]
Entity = Annotated[str | None, typer.Option(help="Of one legal entity only.")]
AsOf = Annotated[
    datetime | None,
    typer.Option("--as-of", formats=["%Y-%m-%d"], help="By the end of this day; default: today."),
]
app = typer.Typer(
    no_args_is_help=True, help="Trial balance, aged receivables, tax, deferred revenue, metrics."
)


def add(billing: typer.Typer) -> None:
    """Add the commands."""
    billing.add_typer(app, name="report")


@app.command("trial-balance")
def trial_balance(
    as_of: AsOf = None, entity: Entity = None, as_csv: Csv = False, as_json: Json = False
) -> None:
    """What stands on every account of the books; debit is positive, and each currency adds up to nothing."""
    from billing.books import reports
    from cli.commands.billing import _opened

    day = day_of(as_of)
    with _opened() as here, here.db.read() as conn:
        found = reports.trial_balance(conn, day, entity)
    text = "\n".join(f"{one.ledger:<34}{one.amount!s:>20}" for one in found) or f"nothing is booked by {day}"
    told = [{"ledger": one.ledger, **_money(one.amount)} for one in found]
    rows = [(one.ledger, one.amount.currency, one.amount) for one in found]
    tabled(
        "billing-trial-balance", ("ledger", "currency", "amount"), rows, text, as_csv, as_json, as_of=str(day),
        balances=told,
    )  # fmt: skip


@app.command("receivables")
def receivables(
    as_of: AsOf = None, entity: Entity = None, as_csv: Csv = False, as_json: Json = False
) -> None:
    """Who owes how much, by days past the due date."""
    from billing.books import reports
    from cli.commands.billing import _opened
    from core.money import Money

    day = day_of(as_of)
    with _opened() as here, here.db.read() as conn:
        found = reports.aged_receivables(conn, day, entity)
    names = [name for name, _, _ in reports.AGES]
    lines = [f"{'account':<12}" + "".join(f"{name:>14}" for name in [*names, "together"])]
    rows = []
    for one in found:
        amounts = [*(Money(one.ages[name], one.together.currency) for name in names), one.together]
        lines.append(f"{one.account:<12}" + "".join(f"{amount!s:>14}" for amount in amounts))
        rows.append((one.account, one.together.currency, *amounts))
    told = [{"account": one.account, "ages": one.ages, **_money(one.together)} for one in found]
    text = "\n".join(lines) if found else f"nobody owes anything by {day}"
    tabled(
        "billing-receivables", ("account", "currency", *names, "together"), rows, text, as_csv, as_json,
        as_of=str(day), accounts=told,
    )  # fmt: skip


@app.command("tax")
def tax(
    since: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="Issued from this day on.")],
    until: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Issued before this day.")],
    as_csv: Csv = False,
    as_json: Json = False,
) -> None:
    """Tax of a period by legal entity, category and rate; credit notes are taken off, and tax that came back with bad
    debts. Status 1 where that is not what the ledger has.
    """
    from billing.books import reports, tax_due
    from billing.tax import rate_text
    from cli.commands.billing import _opened
    from core.money import Money
    from core.problems import Problem

    with _opened() as here, here.db.read() as conn:
        found = reports.tax(conn, since.date(), until.date())
        given = tax_due.relief(conn, since.date(), until.date())
        wrong = tax_due.apart(conn, since.date(), until.date())
    lines = [
        f"{one.legal_entity:<12}{one.category or 'no tax':<12}{rate_text(one.millionths):>9}"
        f"{one.base!s:>20}{one.tax!s:>18}{one.documents:>8}"
        for one in found
    ]
    lines += [
        f"{one.legal_entity:<12}{one.category:<12}{'bad debts':>9}{'':>20}{one.tax!s:>18}{one.write_offs:>8}"
        for one in given
    ]
    told = [
        {"legal_entity": one.legal_entity, "category": one.category, "millionths": one.millionths,
         "base": one.base.minor, "tax": one.tax.minor, "currency": one.tax.currency, "documents": one.documents}
        for one in found
    ]  # fmt: skip
    rows = [
        (
            one.legal_entity,
            one.category,
            rate_text(one.millionths),
            one.tax.currency,
            one.base,
            one.tax,
            one.documents,
        )
        for one in found
    ]
    rows += [
        (
            one.legal_entity,
            one.category,
            "bad debts",
            one.tax.currency,
            Money(0, one.tax.currency),
            one.tax,
            one.write_offs,
        )
        for one in given
    ]
    columns = ("legal_entity", "category", "rate", "currency", "base", "tax", "documents")
    text = "\n".join(lines) or "no document was issued in this period"
    tabled(
        "billing-tax",
        columns,
        rows,
        text,
        as_csv,
        as_json,
        since=str(since.date()),
        until=str(until.date()),
        taxes=told,
        relief=[
            {
                "legal_entity": one.legal_entity,
                "category": one.category,
                **_money(one.tax),
                "write_offs": one.write_offs,
            }
            for one in given
        ],
        problems=[Problem("billing.tax-apart", why) for why in wrong],
    )


def tabled(
    what: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    text: str,
    as_csv: bool,
    as_json: bool,
    **fields: Any,
) -> None:
    """Answer as text, JSON or CSV with a heading; in CSV money is a decimal number."""
    if as_csv and as_json:
        raise typer.BadParameter("say --csv or --json, not both")
    if as_csv:
        write = csv.writer(sys.stdout, lineterminator="\n")
        write.writerow(columns)
        write.writerows([[_cell(value) for value in row] for row in rows])
        fields = {"problems": fields.get("problems", ())}
        text = ""
    answer(what, text=text, as_json=as_json, **fields)


def _cell(value: Any) -> Any:
    from core.money import Money

    return str(value).partition(" ")[2] if isinstance(value, Money) else value


def day_of(given: datetime | None) -> date:
    """Today is where it is latest: nothing that is booked today anywhere is left out."""
    from core import clock

    return given.date() if given else (clock.now() + timedelta(hours=14)).date()


def _money(amount: object) -> dict[str, object]:
    return {"amount": getattr(amount, "minor", None), "currency": getattr(amount, "currency", None)}
