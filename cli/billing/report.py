"""`trunkline billing report …`: trial balance, aged receivables, tax, deferred revenue, metrics; text, JSON or CSV."""

import csv
import sys
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.answer import answer

if TYPE_CHECKING:
    from billing.books.metrics import Month

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

    day = _day(as_of)
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

    day = _day(as_of)
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
    """Tax of a period by legal entity, category and rate; credit notes are taken off."""
    from billing.books import reports
    from billing.tax import rate_text
    from cli.commands.billing import _opened

    with _opened() as here, here.db.read() as conn:
        found = reports.tax(conn, since.date(), until.date())
    lines = [
        f"{one.legal_entity:<12}{one.category or 'no tax':<12}{rate_text(one.millionths):>9}"
        f"{one.base!s:>20}{one.tax!s:>18}{one.documents:>8}"
        for one in found
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
    )


@app.command("deferred")
def deferred(as_of: AsOf = None, entity: Entity = None, as_csv: Csv = False, as_json: Json = False) -> None:
    """What is billed for days to come, by the month in which it becomes revenue; ties to the ledger."""
    from billing.closing.schedule import schedule
    from cli.commands.billing import _opened
    from core.problems import Problem

    day = _day(as_of)
    with _opened() as here, here.db.read() as conn:
        found = schedule(conn, day, entity)
    lines, rows, told = [], [], []
    for one in found:
        lines.append(f"{one.legal_entity}: {one.ledger}, {one.money(one.booked)} deferred")
        months = [*([("earned, not recognised", one.behind)] if one.behind else []),
                  *((f"{month:%Y-%m}", minor) for month, minor in one.months.items())]  # fmt: skip
        lines += [f"  {name:<24}{one.money(minor)!s:>20}" for name, minor in months]
        rows += [
            (one.legal_entity, one.ledger, one.currency, name, one.money(minor)) for name, minor in months
        ]
        told.append(
            {"legal_entity": one.legal_entity, "ledger": one.ledger, "currency": one.currency, "behind": one.behind,
             "months": {f"{month:%Y-%m}": minor for month, minor in one.months.items()}, "together": one.together,
             "booked": one.booked}
        )  # fmt: skip
    apart = [one for one in found if one.together != one.booked]
    problems = [
        Problem(
            "billing.deferred-apart",
            f"{one.legal_entity}, {one.ledger}: {one.money(one.together)} are to come, "
            f"the ledger has {one.money(one.booked)}",
        )
        for one in apart
    ]
    columns = ("legal_entity", "ledger", "currency", "month", "amount")
    text = "\n".join(lines) or f"nothing is deferred by {day}"
    tabled(
        "billing-deferred",
        columns,
        rows,
        text,
        as_csv,
        as_json,
        problems=problems,
        as_of=str(day),
        deferred=told,
    )


@app.command("metrics")
def metrics(
    since: Annotated[
        datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="From this day's month on.")
    ],
    until: Annotated[
        datetime, typer.Option("--until", formats=["%Y-%m-%d"], help="Months that begin before it.")
    ],
    as_csv: Csv = False,
    as_json: Json = False,
) -> None:
    """Monthly recurring revenue and what moved it, churn, revenue per account, by month and plan."""
    from billing.books.metrics import metrics as asked
    from cli.commands.billing import _opened

    with _opened() as here, here.db.read() as conn:
        found = asked(conn, since.date(), until.date())
    lines, rows, told = [], [], []
    for one in found:
        lines.append(
            f"{one.month:%Y-%m} {one.closing!s:>16} a month, {one.accounts_closing} accounts, {one.arpu} each"
        )
        moved = ("new", "reactivation", "expansion", "contraction", "churn")
        lines.append("    " + ", ".join(f"{name} {getattr(one, name)}" for name in moved))
        lines.append(
            f"    accounts lost {_percent(one.logo_churn)}, revenue lost {_percent(one.revenue_churn)}, "
            f"billed {one.billed}"
        )
        lines += [
            f"      {plan.plan:<24}{plan.items:>8}{plan.mrr!s:>18}{plan.arpu!s:>14}" for plan in one.plans
        ]
        rows += list(_metric_rows(one))
        told.append(_metric(one))
    columns = ("month", "currency", "what", "plan", "count", "amount")
    text = "\n".join(lines) or "there was nobody in these months"
    tabled("billing-metrics", columns, rows, text, as_csv, as_json, months=told)


_AMOUNTS = (
    "opening",
    "new",
    "reactivation",
    "expansion",
    "contraction",
    "churn",
    "closing",
    "billed",
    "arpu",
)
_COUNTS = ("opening", "new", "reactivated", "churned", "closing")


def _metric(one: "Month") -> dict[str, Any]:
    return {
        "month": f"{one.month:%Y-%m}", "currency": one.closing.currency,
        **{name: getattr(one, name).minor for name in _AMOUNTS},
        **{f"accounts_{name}": getattr(one, f"accounts_{name}") for name in _COUNTS},
        "logo_churn": _percent(one.logo_churn), "revenue_churn": _percent(one.revenue_churn),
        "plans": [{"plan": p.plan, "items": p.items, "mrr": p.mrr.minor, "arpu": p.arpu.minor} for p in one.plans],
    }  # fmt: skip


def _metric_rows(one: "Month") -> Iterable[Sequence[Any]]:
    month, currency = f"{one.month:%Y-%m}", one.closing.currency
    counts = {"opening": one.accounts_opening, "new": one.accounts_new, "reactivation": one.accounts_reactivated,
              "churn": one.accounts_churned, "closing": one.accounts_closing}  # fmt: skip
    for name in _AMOUNTS:
        yield month, currency, name, "", counts.get(name, ""), getattr(one, name)
    for plan in one.plans:
        yield month, currency, "plan", plan.plan, plan.items, plan.mrr


def _percent(part: Fraction | None) -> str:
    return "-" if part is None else f"{float(part) * 100:.2f}%"


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


def _day(given: datetime | None) -> date:
    """Today is where it is latest: nothing that is booked today anywhere is left out."""
    from core import clock

    return given.date() if given else (clock.now() + timedelta(hours=14)).date()


def _money(amount: object) -> dict[str, object]:
    return {"amount": getattr(amount, "minor", None), "currency": getattr(amount, "currency", None)}
