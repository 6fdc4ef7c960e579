"""Reading intents: the contract, the reader in memory, and the one that writes down what was read."""

import bisect
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol

from intents import kinds
from intents.kind import Claim, Field
from intents.loader import Document


class Claimed(NamedTuple):
    """Who claims something that was asked for."""

    kind: str
    id: str
    field: Field


class Reader(Protocol):
    """Read access to one consistent set of good documents."""

    @property
    def revision(self) -> str:
        """The commit that the documents are from; empty when they are from no commit."""

    def get(self, kind: str, identifier: str) -> Any:
        """The value of a document, or None."""

    def exists(self, kind: str, identifier: str) -> bool:
        """Whether there is such a document, be it good or not: a name of it is no name of nothing."""

    def ids(self, kind: str) -> list[str]:
        """Ids of all good documents of a kind, sorted."""

    def all(self, kind: str) -> Iterator[tuple[str, Any]]:
        """All good documents of a kind as (id, value), sorted by id."""

    def referrers(self, kind: str, identifier: str) -> Iterator[tuple[str, str]]:
        """(kind, id) of the documents that name this one, each once, sorted."""

    def claims_overlapping(self, scope: str, low: str, high: str) -> Iterator[Claimed]:
        """The claims of the scope that overlap the range, bounds included."""


class _Span(NamedTuple):
    low: str
    high: str
    owner: Claimed


class _Scope:
    """The claims of a scope, sorted by `low`; `reach` is the greatest `high` up to each, to stop early."""

    def __init__(self) -> None:
        self.spans: list[_Span] = []
        self.lows: list[str] = []
        self.reach: list[str] = []

    def add(self, claim: Claim, owner: Claimed) -> None:
        self.spans.append(_Span(claim.low, claim.high, owner))

    def prepare(self) -> None:
        self.spans.sort(key=lambda span: (span.low, span.high, span.owner.kind, span.owner.id))
        self.lows = [span.low for span in self.spans]
        greatest = ""
        for span in self.spans:
            greatest = max(greatest, span.high)
            self.reach.append(greatest)

    def overlapping(self, low: str, high: str) -> Iterator[Claimed]:
        index = bisect.bisect_right(self.lows, high) - 1
        while index >= 0 and self.reach[index] >= low:
            if self.spans[index].high >= low:
                yield self.spans[index].owner
            index -= 1


class MemoryReader:
    """All documents in memory, with their references and claims. `unusable` are those that exist but are bad."""

    def __init__(
        self, documents: Iterable[Document], unusable: Iterable[tuple[str, str]] = (), revision: str = ""
    ) -> None:
        self._revision = revision
        self._values: dict[str, dict[str, Any]] = {name: {} for name in kinds.KINDS}
        self._referrers: dict[tuple[str, str], set[tuple[str, str]]] = {}
        self._scopes: dict[str, _Scope] = {}
        self._unusable = set(unusable)
        for document in documents:
            self._add(document.kind, document.id, document.value)
        for kind, values in self._values.items():
            self._values[kind] = dict(sorted(values.items()))
        for scope in self._scopes.values():
            scope.prepare()

    @classmethod
    def of(cls, values: Iterable[tuple[str, str, Any]], revision: str = "") -> "MemoryReader":
        """A reader of (kind, id, value)."""
        return cls(
            (Document(path="", kind=kind, id=name, value=value) for kind, name, value in values), (), revision
        )

    def _add(self, kind: str, identifier: str, value: Any) -> None:
        self._values[kind][identifier] = value
        for reference in kinds.references(kind, identifier, value):
            self._referrers.setdefault((reference.kind, reference.id), set()).add((kind, identifier))
        for claim in kinds.claims(kind, identifier, value):
            scope = self._scopes.setdefault(claim.scope, _Scope())
            scope.add(claim, Claimed(kind, identifier, claim.field))

    @property
    def revision(self) -> str:
        """The commit, or nothing."""
        return self._revision

    def get(self, kind: str, identifier: str) -> Any:
        """The value, or None."""
        return self._values[kind].get(identifier)

    def exists(self, kind: str, identifier: str) -> bool:
        """Whether it is there, good or bad."""
        return identifier in self._values[kind] or (kind, identifier) in self._unusable

    def ids(self, kind: str) -> list[str]:
        """All ids, sorted."""
        return list(self._values[kind])

    def all(self, kind: str) -> Iterator[tuple[str, Any]]:
        """All documents, sorted by id."""
        return iter(self._values[kind].items())

    def referrers(self, kind: str, identifier: str) -> Iterator[tuple[str, str]]:
        """Who names it."""
        return iter(sorted(self._referrers.get((kind, identifier), ())))

    def claims_overlapping(self, scope: str, low: str, high: str) -> Iterator[Claimed]:
        """Who claims a part of the range."""
        known = self._scopes.get(scope)
        return known.overlapping(low, high) if known else iter(())


class Recorded:
    """Passes everything on to another reader and keeps what was read: for affected devices and stale plans.

    `documents` are (kind, id) that were looked at, there or not; `scans` are kinds that were read whole;
    `named` are (kind, id) whose referrers were asked for; `ranges` are claims that were looked up.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.documents: set[tuple[str, str]] = set()
        self.scans: set[str] = set()
        self.named: set[tuple[str, str]] = set()
        self.ranges: set[tuple[str, str, str]] = set()

    @property
    def revision(self) -> str:
        """The inner reader's commit."""
        return self._reader.revision

    def get(self, kind: str, identifier: str) -> Any:
        """Recorded in `documents`."""
        self.documents.add((kind, identifier))
        return self._reader.get(kind, identifier)

    def exists(self, kind: str, identifier: str) -> bool:
        """Recorded in `documents`."""
        self.documents.add((kind, identifier))
        return self._reader.exists(kind, identifier)

    def ids(self, kind: str) -> list[str]:
        """Recorded in `scans`."""
        self.scans.add(kind)
        return self._reader.ids(kind)

    def all(self, kind: str) -> Iterator[tuple[str, Any]]:
        """Recorded in `scans`."""
        self.scans.add(kind)
        return self._reader.all(kind)

    def referrers(self, kind: str, identifier: str) -> Iterator[tuple[str, str]]:
        """Recorded in `named`."""
        self.named.add((kind, identifier))
        return self._reader.referrers(kind, identifier)

    def claims_overlapping(self, scope: str, low: str, high: str) -> Iterator[Claimed]:
        """Recorded in `ranges`."""
        self.ranges.add((scope, low, high))
        return self._reader.claims_overlapping(scope, low, high)
