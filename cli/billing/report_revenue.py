"""`trunkline billing report deferred` and `metrics`: revenue to come, and revenue that recurs."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.billing.report import AsOf, Csv, Entity, Json, app, day_of, tabled

if TYPE_CHECKING:
    from billing.books.metrics import Month


def add(_billing: typer.Typer) -> None:
    """Add the commands to `report`."""
    app.command("deferred")(deferred)
    app.command("metrics")(metrics)


def deferred(as_of: AsOf = None, entity: Entity = None, as_csv: Csv = False, as_json: Json = False) -> None:
    """What is billed for days to come, by the month in which it becomes revenue; ties to the ledger."""
    from billing.closing.schedule import schedule
    from cli.commands.billing import _opened
    from core.problems import Problem

    day = day_of(as_of)
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
