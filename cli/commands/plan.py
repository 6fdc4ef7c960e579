"""Show what an apply would change on devices, against what was applied last or against the device itself."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.answer import answer
from cli.here import Json, counted, indented, opened, plain
from cli.progress import Bar

if TYPE_CHECKING:
    from reconciler.planning import Plan


def command(
    devices: Annotated[
        list[str], typer.Argument(metavar="[DEVICE]…", help="Only these; default: all managed.")
    ] = [],  # noqa: B006
    live: Annotated[
        bool, typer.Option("--live", help="Log in and compare with the device; nothing is written.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Status 1 when something would change.")] = False,
    as_json: Json = False,
) -> None:
    """Show what an apply would change, secrets masked. Status 1 when a device cannot be planned."""
    from core.problems import Problem
    from intents.kinds import path_of
    from reconciler.planning import plan
    from reconciler.topology import managed

    found: list[Plan] = []
    with opened() as here, Bar("planning") as bar:
        with here.reader() as reader:
            total = len(devices) or len(managed(reader))
            revision = reader.revision
        for one in plan(here.context, devices, live=live):
            found.append(one)
            bar(len(found), total)
    problems = [Problem("plan.failed", one.why, path_of("device", one.device)) for one in found if one.why]
    answer(
        "plan", text="\n".join(_told(found)), problems=problems, as_json=as_json, revision=revision,
        would_change=[one.device for one in found if one.would_write], plans=plain(found),
    )  # fmt: skip
    if check and any(one.would_write for one in found):
        raise typer.Exit(1)


def _told(plans: "list[Plan]") -> list[str]:
    lines = []
    for one in plans:
        if one.diff:
            lines += [_heading(one), *indented(one.diff)]
    writes = sum(one.would_write for one in plans)
    same = sum(not one.diff and not one.why for one in plans)
    return [*lines, f"{counted(writes, 'device')} would change, {same} would not"]


def _heading(one: "Plan") -> str:
    against = {"": "nothing was applied yet", "device": "against the device"}.get(
        one.against, f"since {one.against[:12]}"
    )
    observed = ", only observed: nothing is written" if one.manage == "observe" else ""
    return f"{one.device} ({one.platform}, {one.revert} revert; {against}{observed})"
