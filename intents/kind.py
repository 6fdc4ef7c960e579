"""What a kind is: its structure, where its files live, what it refers to and what it claims for itself."""

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import Any, NamedTuple

import msgspec

from core import days
from intents.scalars import ID_PATTERN

Field = tuple[str | int, ...]
"""Keys and positions from the top of a file: `("ends", 0, "v4")`."""


class Reference(NamedTuple):
    """A field that names another document."""

    kind: str
    id: str
    field: Field


class Claim(NamedTuple):
    """A value or a range that only one may have: overlapping claims of a scope are looked at by a check.

    `low` and `high` are text of one width within a scope, so that their order is that of the values.
    """

    scope: str
    low: str
    high: str
    field: Field


class Complaint(NamedTuple):
    """A mistake that one document shows by itself."""

    code: str
    field: Field
    message: str
    hint: str = ""
    severity: str = "error"


def far_off(field: Field, day: date | None) -> Iterator[Complaint]:
    """A day that nobody can mean. A warning: files that were good must stay good when an index is built anew."""
    if day is not None and (why := days.why_not(day)):
        yield Complaint("value.format", field, why, severity="warning")


def nothing(_value: Any) -> Iterator[Any]:
    """For a kind whose structure says all that is to check."""
    return iter(())


def no_references(_id: str, _value: Any) -> Iterator[Reference]:
    """For a kind that names nothing else."""
    return iter(())


def no_claims(_id: str, _value: Any) -> Iterator[Claim]:
    """For a kind that claims nothing."""
    return iter(())


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of intent, registered by being `KIND` in `intents/<name>/kind.py`.

    `pattern` has `{id}`, and `{shard}` where the id's SHA-256 decides the folders.
    """

    name: str
    struct: Any
    pattern: str
    plural: str
    references: Callable[[str, Any], Iterable[Reference]] = no_references
    claims: Callable[[str, Any], Iterable[Claim]] = no_claims
    complaints: Callable[[Any], Iterable[Complaint]] = nothing
    id_pattern: str = ID_PATTERN
    shard_key: Callable[[str], str] = str
    read: Callable[[str, str], Any] | None = None
    """For files that are not YAML: (id, text) -> value; may raise ValueError."""
    write: Callable[[Any], str] | None = None

    @property
    def sharded(self) -> bool:
        """Whether files lie in two levels of folders."""
        return "{shard}" in self.pattern

    @property
    def suffix(self) -> str:
        """How this kind's file names end."""
        return self.pattern[self.pattern.rindex(".") :]

    @property
    def folder(self) -> str:
        """The folder of this kind's files; empty for the file at the top."""
        return self.pattern.split("{", 1)[0].rstrip("/") if "{" in self.pattern else ""
