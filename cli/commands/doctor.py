"""Look at Python, this machine and this node, and say what is wrong and what to do."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from cli.answer import answer
from cli.doctor import machine, node, parts, python
from cli.doctor.finding import Finding


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
) -> None:
    """Look at Python, this machine and this node; status 1 when something must be mended."""
    found = list(findings())
    unwell = [finding for finding in found if finding.level != "ok"]
    failed = [finding for finding in unwell if finding.level == "fail"]
    if as_json:
        checks = [msgspec.to_builtins(finding) for finding in found]
        problems = [finding.problem() for finding in unwell]
        answer("doctor", problems=problems, as_json=True, well=not failed, checks=checks)
        return
    for finding in found:
        typer.echo(str(finding))
    if failed:
        raise typer.Exit(1)


def findings() -> Iterator[Finding]:
    """Everything that the doctor looks at, in the order in which it matters."""
    yield from python.check_version()
    yield from python.check_requirements()
    yield from python.check_collisions()
    yield from python.check_origins()
    yield from python.check_shadows(Path.cwd())
    yield from machine.check_git()
    yield from machine.check_sqlite()
    yield from machine.check_clock()
    yield from machine.check_zones()
    yield from machine.check_files()
    yield from node.check_node()
    yield from parts.check_parts()
    yield from parts.check_root()
