"""`trunkline billing verify` and `export`: prove the books, and write them in one fixed form."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated

import typer

from cli.answer import answer
from cli.progress import Bar
from core.problems import Problem

if TYPE_CHECKING:
    from typing import TextIO

    from billing.billrun import BillRun, Progress

_TOLD = 1_000
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(verify)
    app.command()(export)
    app.command("runs")(listed)


def listed(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many, the newest.")] = 20,
    as_json: Json = False,
) -> None:
    """List bill runs and dunning runs, the newest first, with the ids by which they are undone."""
    from billing import glance
    from cli.commands.billing import _opened, _plain

    with _opened() as here, here.db.read() as conn:
        found = glance.runs(conn, limit)
    lines = [
        f"{one.id:<32} {one.on}  {', '.join(f'{count} {what}' for what, count in one.said.items())}"
        + ("" if one.ended else "  not ended")
        + "".join(f"; {why}" for why in one.warnings)
        for one in found
    ]
    answer(
        "billing-runs",
        text="\n".join(lines) or "no runs yet",
        as_json=as_json,
        runs=[_plain(one) for one in found],
    )


def verify(
    limit: Annotated[int, typer.Option(min=1, help="Tell at most so many breaches.")] = _TOLD,
    as_json: Json = False,
) -> None:
    """Prove seals, numbers, issue dates and the ledger of all documents; status 1 and a sentence for each breach."""
    from billing.runs.verify import breaches
    from cli.commands.billing import _opened

    found, looked_at = [], 0
    with _opened() as here, Bar("verifying") as bar:

        def noted(done: int, total: int) -> None:
            nonlocal looked_at
            looked_at = done
            bar(done, total)

        count = 0
        for one in breaches(here.db, noted):
            count += 1
            if count <= limit:
                found.append(one)
    problems = [Problem(f"billing.invariant-{one.invariant}", str(one)) for one in found]
    answer(
        "billing-verified", text=f"{looked_at} documents looked at, {count} breaches", problems=problems,
        as_json=as_json, documents=looked_at, breaches=count,
    )  # fmt: skip


def export(
    canonical: Annotated[
        bool, typer.Option("--canonical", help="In one fixed form without ids and moments.")
    ] = False,
    beancount: Annotated[bool, typer.Option("--beancount", help="The ledger as a beancount file.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="The ledger as CSV, a line for each leg.")] = False,
    since: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="Ledger: from this day on.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Ledger: before this day.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="A new file; default: standard output.")] = None,
) -> None:
    """Write the books: everything as JSON lines (equal files, equal books), or the ledger for other programs."""
    from billing import canonical as form
    from billing.books import journal
    from cli.commands.billing import _opened

    if canonical + beancount + as_csv != 1:
        raise typer.BadParameter("say in which one form: --canonical, --beancount or --csv")
    first, last = (day.date() if day else None for day in (since, until))
    with writing(file or Path("-")) as write, _opened() as here, here.db.read() as conn:
        if canonical:
            lines = form.export_all(conn)
        else:
            lines = (journal.beancount if beancount else journal.as_csv)(conn, first, last)
        for line in lines:
            if write:
                write(line)


@contextmanager
def writing(to: Path | None) -> "Iterator[Callable[[str], None] | None]":
    """Lines into a file, or standard output for `-`; nothing without one. A file that is there is not written over."""
    if to is None:
        yield None
    elif str(to) == "-":
        yield lambda line: print(line, file=sys.stdout)
    else:
        with _new(to) as file:
            yield lambda line: print(line, file=file)


def _new(to: Path) -> "TextIO":
    try:
        return to.open("x", encoding="utf-8")
    except FileExistsError as error:
        raise typer.BadParameter(f"{to} is there already; name a new file") from error
    except OSError as error:
        raise typer.BadParameter(f"{to}: {error.strerror}") from error


def problems_of(run: "BillRun") -> list[Problem]:
    """What a person must look at after a run."""
    found = [Problem("billing.parked", f"{name} is parked: {why}") for name, why in run.parked.items()]
    found += [Problem("billing.silent", run.silent)] if run.silent else []
    return found + [Problem("billing.unusual", told, severity="warning") for told in run.unusual]


class Showing:
    """A run's progress on the terminal: accounts done of all, then documents numbered of all."""

    def __init__(self) -> None:
        self._bars = Bar("billing"), Bar("numbering")

    def __enter__(self) -> "Callable[[Progress], None]":
        return self._show

    def _show(self, far: "Progress") -> None:
        billing, numbering = self._bars
        if far.numbered:
            billing.__exit__(None, None, None)
            numbering(far.numbered, max(far.numbered, far.of))
        else:
            billing(far.accounts, far.of, f"{far.lines} lines, {far.parked} parked")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for bar in self._bars:
            bar.__exit__(kind, error, trace)
