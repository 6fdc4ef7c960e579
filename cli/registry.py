"""Which commands there are: the modules of `cli/commands`, listed without importing any."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cli.limits import limited
from core.errors import Terminal

_FOLDER = Path(__file__).parent / "commands"
_FIRST_LINE = re.compile(r'\s*"""\s*(.+?)\s*("""|\n)')
# Enough to hold the first line of any docstring.
_HEAD = 400


class Listed(NamedTuple):
    """A command as `--help` shows it."""

    name: str
    summary: str


class CommandNotUsable(Terminal):
    """A module of `cli/commands` offers no command."""

    def __init__(self, name: str) -> None:
        super().__init__(f"command '{name}' has neither `command` nor `app`; see cli/commands/__init__.py")


def listed(folder: Path = _FOLDER) -> Iterator[Listed]:
    """Every command, sorted by name, with the first line of its module's docstring."""
    modules = [path for path in folder.glob("*.py") if path.stem != "__init__"]
    for path in sorted([*modules, *folder.glob("*/__init__.py")], key=_command_name):
        yield Listed(_command_name(path), _first_line(path))


def load(name: str) -> Any:
    """The command itself; imports its module, and with it the rooms that it needs."""
    import typer
    from typer.main import get_command

    module = importlib.import_module(f"cli.commands.{name.replace('-', '_')}")
    found = getattr(module, "app", None)
    if found is None:
        function = getattr(module, "command", None)
        if function is None:
            raise CommandNotUsable(name)
        found = typer.Typer(add_completion=False, rich_markup_mode=None)
        found.command(name=name)(function)
    command = _plain(get_command(found))
    command.name = name
    return command


def _plain(command: Any) -> Any:
    """The command with plain help and errors: no rich import for them, and the same text in a file as on a terminal."""
    command.rich_markup_mode = None
    children = getattr(command, "commands", {}).values()
    for child in children:
        _plain(child)
    if command.callback and not children:
        command.callback = limited(command)
    return command


def _command_name(path: Path) -> str:
    return (path.parent.name if path.stem == "__init__" else path.stem).replace("_", "-")


def _first_line(path: Path) -> str:
    with path.open(encoding="utf-8") as source:
        match = _FIRST_LINE.match(source.read(_HEAD))
    return match.group(1) if match else ""
