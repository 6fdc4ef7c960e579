"""The references of commands and settings, written from the code that they describe."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from cli.main import app
from cli.registry import listed, load
from core.settings import Settings
from intents import describe
from tests.support import ROOT

_WRITTEN = "<!-- written by `make docs`; edit the code instead -->"
_WIDTH = 100


def commands() -> str:
    """Markdown of every command's own help."""
    root = get_command(app)
    top = _context(root, "trunkline", None)
    parts = [_WRITTEN, "# Commands", _help(top)]
    for found in listed():
        parts.extend(_sections(_context(load(found.name), found.name, top)))
    return "\n\n".join(parts) + "\n"


def _sections(context: Any) -> Iterator[str]:
    if context.command.hidden:
        return
    names = context.command_path.split()
    yield f"{'#' * len(names)} {' '.join(names)}"
    yield _help(context)
    for name, child in sorted(getattr(context.command, "commands", {}).items()):
        yield from _sections(_context(child, name, context))


def _context(command: Any, name: str, parent: Any) -> Any:
    """A command below the group that it belongs to, at a fixed width: no writer's terminal shows."""
    return command.context_class(
        command, info_name=name, parent=parent, terminal_width=_WIDTH, max_content_width=_WIDTH
    )


def _help(context: Any) -> str:
    lines = [line.rstrip() for line in context.get_help().strip().splitlines()]
    return "\n".join(["```text", *lines, "```"])


def settings() -> str:
    """Markdown table of every setting, its variable, its default and its meaning."""
    head = [
        _WRITTEN,
        "# Settings",
        "Given as a variable, or by name in `<home>/settings.toml`; the variable wins.",
    ]
    rows = ["| setting | variable | default | what it is |", "|---|---|---|---|"]
    for name, default, meaning in _fields(ROOT / "core" / "settings.py"):
        rows.append(f"| `{name}` | `TRUNKLINE_{name.upper()}` | {default} | {meaning} |")
    return "\n\n".join([*head, "\n".join(rows)]) + "\n"


def _fields(path: Path) -> Iterator[tuple[str, str, str]]:
    """Name, default and docstring of every setting, in the order of the code."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    body = next(n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == Settings.__name__)
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            derived = "`./var`" if node.target.id == "home" else "in home"
            default = f"`{ast.unparse(node.value)}`" if node.value else derived
            yield node.target.id, default, _docstring(following)


def _docstring(node: ast.stmt | None) -> str:
    if (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ):
        return " ".join(node.value.value.split()).replace("|", "\\|")
    return ""


GENERATED: dict[str, Callable[[], str]] = {
    "docs/reference/cli.md": commands,
    "docs/reference/intents.md": describe.fields,
    "docs/reference/problems.md": describe.codes,
    "docs/reference/settings.md": settings,
}
"""Document -> the function that writes it."""
