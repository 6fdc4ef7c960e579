"""The `trunkline` command: finds its commands in `cli/commands` and imports one only when it is called."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from cli.edge import EXIT_INTERRUPTED, EXIT_USAGE, run_at_edge
from cli.registry import listed, load

OVERVIEW = "Run an Internet service provider from the trunk of a Git repository."


class StandIn(TyperCommand):
    """Stands for a command in lists and completions, until `LazyGroup.resolve_command` loads the real one."""

    def get_short_help_str(self, limit: int = 0) -> str:  # noqa: ARG002  (never shortened: the list wraps it)
        """The whole help line."""
        return self.help or ""


class LazyGroup(TyperGroup):
    """The root group: knows every command's name and help line, and its module only once it is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for found in listed():
            self.add_command(StandIn(name=found.name, callback=None, help=found.summary), found.name)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Name, command and remaining arguments; here the command's module is imported."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, (load(name) if name and command else command), rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; Ctrl-C ends it with one line and status 130."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("stopped", err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from None


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    help=OVERVIEW,
    rich_markup_mode=None,
    context_settings={"max_content_width": 110},
)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"trunkline {version('trunkline')}")
        raise typer.Exit


@app.callback()
def _root(
    home: Annotated[
        Path | None, typer.Option(help="The folder of this node's state (TRUNKLINE_HOME; default ./var).")
    ] = None,
    version: Annotated[  # noqa: ARG001  (its callback answers)
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if home is not None:
        os.environ["TRUNKLINE_HOME"] = str(home.absolute())


def _require_text(argument: str) -> None:
    """Nothing that we keep or send takes other bytes: end with usage before a command trips over them."""
    if "\0" in argument or argument.encode(errors="replace").decode() != argument:
        print(
            f"trunkline: argument {argument!a} is not text in UTF-8 without NUL characters", file=sys.stderr
        )
        sys.exit(EXIT_USAGE)


def main(args: Sequence[str] | None = None) -> None:
    """Entry point of the console script: ends the process with 0 done, 1 no, 2 usage, 3 could not answer."""
    given = list(sys.argv[1:] if args is None else args)
    for one in given:
        _require_text(one)
    root = get_command(app)
    run_at_edge(lambda: root.main(args=given, prog_name="trunkline"), as_json="--json" in given)


if __name__ == "__main__":
    main()
