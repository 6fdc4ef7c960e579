"""Previews: rooms say what a change of the repository would do; `ci` and `api` only put the sections together.

A room registers `@preview("name")` in a module that its `register.py` imports. The function gets a `Comparison` and
yields sections, none when nothing of its room changes. It reads through the two readers alone: it never opens a secret
and never reads what did not change, so a preview costs what the change costs.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from core.problems import Problem

if TYPE_CHECKING:
    from core.db import Database

Identity = tuple[str, str]
"""(kind, id) of a document."""

LIST_LIMIT = 20
"""How many things a section names before it counts the rest."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two readers of intents (`intents.reader.Reader`) and what differs between them.

    `db` is recorded state where one is at hand: sessions can be counted then. It is None in a forge's pipeline.
    """

    base: Any
    head: Any
    changed: frozenset[Identity]
    db: "Database | None" = None


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a preview. `order` sorts sections; `data` says the same as `markdown` for programs.

    `problems` are what the change would break; an error makes `trunkline ci` answer no.
    """

    title: str
    order: int
    markdown: str
    data: dict[str, Any] = {}
    problems: tuple[Problem, ...] = ()


Preview = Callable[[Comparison], Iterator[Section]]

PREVIEWS: dict[str, Preview] = {}


def preview(name: str) -> Callable[[Preview], Preview]:
    """Register a room's preview under a name; the same name again replaces it."""

    def register(function: Preview) -> Preview:
        PREVIEWS[name] = function
        return function

    return register


def sections(comparison: Comparison) -> list[Section]:
    """The sections of every registered preview, in their order."""
    found = (section for _, function in sorted(PREVIEWS.items()) for section in function(comparison))
    return sorted(found, key=lambda section: (section.order, section.title))


def named(names: list[str], limit: int = LIST_LIMIT) -> str:
    """`a, b, c and 17 more`: a list that never gets long."""
    shown = ", ".join(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown


def cut(lines: list[str], limit: int) -> list[str]:
    """The first `limit` lines, and how many were left out."""
    return lines if len(lines) <= limit else [*lines[:limit], f"… {len(lines) - limit} more lines"]
