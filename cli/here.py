"""What commands of an installation share: opening it, and who is at the keyboard."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cli.installation import Installation


def account() -> str:
    """The OS account's name: the staff id of who types, unless something better is said."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"


Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Actor = Annotated[
    str,
    typer.Option(
        "--actor",
        envvar="TRUNKLINE_ACTOR",
        default_factory=account,
        show_default="your account",
        help="Who does it, by staff id.",
    ),
]


@contextmanager
def opened() -> "Iterator[Installation]":
    """The installation of this home, closed at the end. Raises HomeEmpty."""
    from cli.installation import Installation
    from core.settings import Settings
    from intents.index import layout

    here = Installation(Settings.load())
    layout.prepare(here.index_db)  # a home where nothing was ever served has no index yet
    try:
        yield here
    finally:
        here.close()


def plain(value: Any) -> Any:
    """A structure as JSON shows it."""
    import msgspec

    return msgspec.to_builtins(value)


def indented(text: str, by: str = "    ") -> list[str]:
    """The lines of a text, moved to the right."""
    return [f"{by}{line}" for line in text.splitlines()]


def counted(count: int, noun: str) -> str:
    """`1 device`, `2 devices`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
