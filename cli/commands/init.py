"""Write a network repository: an example, or the network of a GML or GraphML graph."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.answer import answer
from cli.scaffold import plan
from cli.scaffold.write import check_empty, first_commit, write_files


def command(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is new or empty.")],
    from_graph: Annotated[
        Path | None, typer.Option("--from-graph", metavar="FILE", help="A backbone as GML or GraphML.")
    ] = None,
    platform: Annotated[Literal["frr", "virtual"], typer.Option(help="The platform of the routers.")] = "frr",
    name: Annotated[str | None, typer.Option(help="The operator's name; by default the graph's.")] = None,
    asn: Annotated[
        int | None, typer.Option(min=1, max=4294967294, help="The operator's AS number; by default 64500.")
    ] = None,
    timezone: Annotated[str | None, typer.Option(help="A time zone such as Australia/Perth.")] = None,
    currency: Annotated[str | None, typer.Option(help="An ISO 4217 code such as AUD.")] = None,
    git: Annotated[
        bool, typer.Option("--git", help="Also make it a Git repository with a first commit.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
) -> None:
    """Write a network repository into DIR; what had to be mended in a graph is told with its place."""
    check_empty(directory)
    given = plan.Given(name=name, asn=asn, timezone=timezone, currency=currency)
    written = plan.from_graph(from_graph, platform, given) if from_graph else plan.example(platform, given)
    write_files(directory, written.files)
    commit = first_commit(directory, list(written.files)) if git else None
    answer(
        "init",
        text=_told(directory, written, commit),
        problems=written.notes,
        as_json=as_json,
        directory=str(directory),
        files=len(written.files),
        mended=len(written.notes),
        commit=commit,
    )


def _told(directory: Path, written: plan.Written, commit: str | None) -> str:
    lines = [f"wrote {written.what}: {len(written.files)} files in {directory}"]
    if written.notes:
        lines.append(f"mended {len(written.notes)} things in the graph, listed above")
    if commit:
        lines.append(f"committed as {commit[:12]}")
    return "\n".join(
        [*lines, f"next: trunkline validate {directory}", f"      and read {directory / 'README.md'}"]
    )
