"""The registry of checks over several documents, and the way from their findings to problems with a place.

A check is `(reader, scope) -> findings`. It looks only at what is in the scope (what changed) and at what that
touches, so that the cost of a change follows the size of the change. Upper rooms register theirs with `@check`.
"""

import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from core.problems import Problem, Severity
from intents import kinds, loader
from intents.kind import Field
from intents.reader import Identity, Reader


class Finding(NamedTuple):
    """A mistake that lies in one document (kind, id, field); `others` are the documents that it collides with."""

    code: str
    kind: str
    id: str
    field: Field
    message: str
    hint: str = ""
    severity: Severity = "error"
    others: tuple[Identity, ...] = ()


class Scope:
    """What a check looks at: the documents that changed (deleted ones too), or all."""

    def __init__(self, changed: Iterable[Identity] | None = None) -> None:
        self.changed = None if changed is None else frozenset(changed)

    def of(self, reader: Reader, kind: str) -> Iterator[tuple[str, Any]]:
        """(id, value) of the documents of a kind that are in the scope and exist, by id."""
        if self.changed is None:
            yield from reader.all(kind)
            return
        for name, identifier in sorted(self.changed):
            if name == kind and (value := reader.get(kind, identifier)) is not None:
                yield identifier, value

    def gone(self, reader: Reader) -> Iterator[Identity]:
        """What changed and does not exist any more."""
        for kind, identifier in sorted(self.changed or ()):
            if not reader.exists(kind, identifier):
                yield kind, identifier

    def touched(self, reader: Reader, kind: str, by: Iterable[str]) -> Iterator[tuple[str, Any]]:
        """Documents of a kind in the scope, and those that name a changed document of one of the kinds `by`."""
        found = dict(self.of(reader, kind))
        if self.changed is not None:
            for name, identifier in sorted(one for one in self.changed if one[0] in set(by)):
                for _, referrer in reader.referrers(name, identifier, kind):
                    if referrer not in found and (value := reader.get(kind, referrer)) is not None:
                        found[referrer] = value
        yield from sorted(found.items())

    def reported_at(self, one: Identity, other: Identity) -> bool:
        """Whether a collision is told at `one`: at the changed document; at the later one when both changed."""
        if self.changed is not None and other not in self.changed:
            return True
        return one > other


Check = Callable[[Reader, Scope], Iterable[Finding]]

CHECKS: dict[str, Check] = {}


def check(name: str) -> Callable[[Check], Check]:
    """Register a check under a name. Registering the same name again replaces it."""

    def register(function: Check) -> Check:
        CHECKS[name] = function
        return function

    return register


@functools.cache
def load_rules() -> None:
    """Import our own rules."""
    package = importlib.import_module("intents.rules")
    for info in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"intents.rules.{info.name}")


def findings(reader: Reader, scope: Scope) -> list[Finding]:
    """What all checks find, each once."""
    load_rules()
    found = (finding for _, function in sorted(CHECKS.items()) for finding in function(reader, scope))
    return sorted(
        dict.fromkeys(found), key=lambda finding: (finding.kind, finding.id, finding.code, finding.message)
    )


def run(
    reader: Reader,
    scope: Scope | None = None,
    content: Callable[[str, str], bytes | None] = lambda _kind, _id: None,
) -> list[Problem]:
    """Problems between documents: of those in the scope, or of all. `content` gives a file's bytes for the place."""
    return [problem_of(finding, content) for finding in findings(reader, scope or Scope())]


def problem_of(finding: Finding, content: Callable[[str, str], bytes | None]) -> Problem:
    """The finding as a problem with line and column; the file is parsed only now."""
    path = kinds.path_of(finding.kind, finding.id)
    raw = content(finding.kind, finding.id)
    line, column = loader.locate(raw, finding.field) if raw is not None else (0, 0)
    return Problem(finding.code, finding.message, path, line, column, finding.severity, finding.hint)


def dependents(reader: Reader, bad: Iterable[Identity]) -> set[Identity]:
    """What stays at its last good version with the bad documents: everything that names one, and so on upwards."""
    found: set[Identity] = set()
    waiting = list(bad)
    while waiting:
        for referrer in reader.referrers(*waiting.pop()):
            if referrer not in found:
                found.add(referrer)
                waiting.append(referrer)
    return found
