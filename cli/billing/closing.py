"""`trunkline billing recognise` and `close`: revenue as days go by, and books that nobody changes any more."""

from datetime import date, datetime
from typing import Annotated

import typer

from cli.answer import answer
from core.problems import Problem

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Entity = Annotated[str | None, typer.Option(help="Of one legal entity only; default: all.")]


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(recognise)
    app.command()(close)


def recognise(
    until: Annotated[
        datetime,
        typer.Option("--until", formats=["%Y-%m-%d"], help="Through this day; it is over somewhere."),
    ],
    entity: Entity = None,
    as_json: Json = False,
) -> None:
    """Recognise deferred revenue day by day; again adds nothing, killed in the middle it goes on."""
    from billing.closing.recognition import recognise as recognised
    from cli.commands.billing import _opened
    from core.money import Money

    with _opened() as here:
        done = recognised(here.db, until.date(), entity=entity)
    lines = [
        f"{name:<12}{ledger:<28}{Money(minor, c)!s:>20}" for (name, c, ledger), minor in done.amounts.items()
    ]
    text = f"until {done.until}: {done.documents} documents taken in, {done.transactions} transactions booked"
    told = [
        {"legal_entity": name, "currency": currency, "ledger": ledger, "amount": minor}
        for (name, currency, ledger), minor in done.amounts.items()
    ]
    answer(
        "billing-recognised", text="\n".join([text, *lines]), as_json=as_json, until=str(done.until),
        documents=done.documents, transactions=done.transactions, recognised=told,
    )  # fmt: skip


def close(
    until: Annotated[
        datetime | None,
        typer.Option("--until", formats=["%Y-%m-%d"], help="The last day that is closed."),
    ] = None,
    entity: Entity = None,
    reopen: Annotated[
        bool, typer.Option("--reopen", help="Open the books of --entity again, all or after --until.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why they are reopened.")] = "",
    history: Annotated[bool, typer.Option("--history", help="Only list closes and reopenings.")] = False,
    dry: Annotated[bool, typer.Option("--dry", help="Only check.")] = False,
    actor: Annotated[
        str, typer.Option("--as", envvar="TRUNKLINE_ACTOR", help="Who does it, by staff id.")
    ] = "operator",
    as_json: Json = False,
) -> None:
    """Close the books until a day: checked first, and then nothing is booked on or before it."""
    from cli.commands.billing import _opened

    if history:
        _history(entity, as_json)
        return
    if reopen and (entity is None or dry):
        raise typer.BadParameter("--reopen needs --entity, and goes without --dry")
    if not reopen and until is None:
        raise typer.BadParameter("say until which day: --until 2026-01-31")
    day = until.date() if until else None
    with _opened() as here:
        if reopen:
            _reopen(here, entity or "", day, actor, reason, as_json)
        elif day is not None:
            _close(here, day, entity, actor, dry, as_json)


def _close(here: object, day: date, entity: str | None, actor: str, dry: bool, as_json: bool) -> None:
    from billing.closing import closes

    done = closes.close(here.db, day, entity=entity, actor=actor, dry=dry)  # type: ignore[attr-defined]
    verb = "can be closed" if dry else "closed"
    lines = [f"{name}: {verb} until {day}" for name in done.entities]
    lines += [f"{name}: closed until then already" for name in done.already]
    problems = [
        Problem(
            "billing.parked",
            f"{one} is parked: what it owes for the time is not in the books",
            severity="warning",
        )
        for one in done.parked
    ]
    answer(
        "billing-closed", text="\n".join(lines), problems=problems, as_json=as_json, until=str(day), dry=dry,
        closed=list(done.entities), already=list(done.already), parked=list(done.parked),
    )  # fmt: skip


def _reopen(here: object, entity: str, day: date | None, actor: str, reason: str, as_json: bool) -> None:
    from billing.closing import closes

    with here.db.write() as conn:  # type: ignore[attr-defined]
        before, after = closes.reopen(conn, entity, actor=actor, reason=reason, through=day)
    now = f"closed until {after} only" if after else "open from the first day on"
    answer(
        "billing-reopened", text=f"{entity}: closed until {before} before, now {now}", as_json=as_json, entity=entity,
        before=str(before), after=None if after is None else str(after), reason=reason,
    )  # fmt: skip


def _history(entity: str | None, as_json: bool) -> None:
    from billing.closing import closes
    from cli.commands.billing import _opened

    with _opened() as here, here.db.read() as conn:
        rows = closes.history(conn, entity)
    lines = [
        f"{row['recorded_at']:%Y-%m-%d %H:%M} {row['legal_entity']:<12}{row['what']:<8}"
        f"{row['closed_through'] or 'all open'!s:<12}"
        f"{row['actor']:<14}{row['reason']}"
        for row in rows
    ]
    told = [
        {key: value if isinstance(value, (dict, int)) else str(value) for key, value in row.items()}
        for row in rows
    ]
    answer("billing-closes", text="\n".join(lines) or "nothing was closed yet", as_json=as_json, closes=told)
