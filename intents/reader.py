"""Reading intents: the contract, the reader in memory, and the one that writes down what was read."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol

from intents import kinds
from intents.kind import Field
from intents.loader import Document
from intents.spans import Span, Spans

Identity = tuple[str, str]
"""(kind, id)."""


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

    def referrers(self, kind: str, identifier: str, by: str | None = None) -> Iterator[Identity]:
        """The documents (only those of kind `by`) that name this one, each once, sorted."""

    def claims_overlapping(self, scope: str, low: str, high: str) -> Iterator[Claimed]:
        """The claims of the scope that overlap the range, bounds included."""


class MemoryReader:
    """All documents in memory, with their references and claims. `unusable` are those that exist but are bad."""

    def __init__(
        self, documents: Iterable[Document], unusable: Iterable[Identity] = (), revision: str = ""
    ) -> None:
        self._revision = revision
        self._values: dict[str, dict[str, Any]] = {name: {} for name in kinds.KINDS}
        self._referrers: dict[Identity, set[Identity]] = {}
        self._unusable = set(unusable)
        spans: dict[str, list[Span]] = {}
        for document in documents:
            self._values[document.kind][document.id] = document.value
            self._note(document.kind, document.id, document.value, spans)
        for kind, values in self._values.items():
            self._values[kind] = dict(sorted(values.items()))
        self._scopes = {scope: Spans(found) for scope, found in spans.items()}

    @classmethod
    def of(cls, values: Iterable[tuple[str, str, Any]], revision: str = "") -> "MemoryReader":
        """A reader of (kind, id, value)."""
        return cls(
            (Document(path="", kind=kind, id=name, value=value) for kind, name, value in values), (), revision
        )

    def _note(self, kind: str, identifier: str, value: Any, spans: dict[str, list[Span]]) -> None:
        for reference in kinds.references(kind, identifier, value):
            self._referrers.setdefault((reference.kind, reference.id), set()).add((kind, identifier))
        for claim in kinds.claims(kind, identifier, value):
            spans.setdefault(claim.scope, []).append(
                Span(claim.low, claim.high, kind, identifier, claim.field)
            )

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

    def referrers(self, kind: str, identifier: str, by: str | None = None) -> Iterator[Identity]:
        """Who names it."""
        found = self._referrers.get((kind, identifier), set())
        return iter(sorted(one for one in found if by in (None, one[0])))

    def claims_overlapping(self, scope: str, low: str, high: str) -> Iterator[Claimed]:
        """Who claims a part of the range."""
        known = self._scopes.get(scope)
        for span in known.overlapping(low, high) if known else ():
            yield Claimed(span.kind, span.id, span.field)


class Recorded:
    """Passes everything on to another reader and keeps what was read: for affected devices and stale plans.

    `documents` are (kind, id) that were looked at, there or not; `scans` are kinds that were read whole;
    `named` are (kind, id, by) whose referrers of kind `by` ("": any) were asked for; `ranges` are claims.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.documents: set[Identity] = set()
        self.scans: set[str] = set()
        self.named: set[tuple[str, str, str]] = set()
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

    def referrers(self, kind: str, identifier: str, by: str | None = None) -> Iterator[Identity]:
        """Recorded in `named`."""
        self.named.add((kind, identifier, by or ""))
        return self._reader.referrers(kind, identifier, by)

    def claims_overlapping(self, scope: str, low: str, high: str) -> Iterator[Claimed]:
        """Recorded in `ranges`."""
        self.ranges.add((scope, low, high))
        return self._reader.claims_overlapping(scope, low, high)
