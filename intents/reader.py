"""Reading a consistent set of good documents, whatever they come from: a commit, the index, memory."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from intents.kinds import KINDS

Identity = tuple[str, str]
"""(kind, id)."""


class Reader(Protocol):
    """Read access to the good documents of one revision. Every promise holds for the same revision."""

    @property
    def revision(self) -> str:
        """The commit that this is a reading of; "" for none."""
        ...

    def get(self, kind: str, identifier: str) -> Any:
        """The document's value (the Struct of its kind), or None."""
        ...

    def ids(self, kind: str) -> list[str]:
        """All ids of a kind, sorted."""
        ...

    def all(self, kind: str) -> Iterator[tuple[str, Any]]:
        """(id, value) of all documents of a kind, by id."""
        ...

    def referrers(self, kind: str, identifier: str, by: str | None = None) -> list[Identity]:
        """Who names this thing (which need not exist), sorted; `by` narrows to one kind of referrer."""
        ...

    def claims_overlapping(
        self, scope: str, low: str, high: str
    ) -> list[tuple[str, str, tuple[str | int, ...]]]:
        """(kind, id, field) of the claims in `scope` that overlap `low`..`high`, sorted."""
        ...


class MemoryReader:
    """A Reader over documents in memory: `{(kind, id): value}`."""

    def __init__(self, documents: Mapping[Identity, Any], revision: str = "") -> None:
        self._documents = dict(documents)
        self._revision = revision
        self._by_kind: dict[str, list[str]] = {}
        self._referrers: dict[Identity, set[Identity]] = {}
        self._claims: dict[str, list[tuple[str, str, str, str, tuple[str | int, ...]]]] = {}
        for (kind, identifier), value in self._documents.items():
            self._add(kind, identifier, value)

    def _add(self, kind: str, identifier: str, value: Any) -> None:
        self._by_kind.setdefault(kind, []).append(identifier)
        for reference in KINDS[kind].references(identifier, value):
            self._referrers.setdefault((reference.kind, reference.id), set()).add((kind, identifier))
        for claim in KINDS[kind].claims(identifier, value):
            self._claims.setdefault(claim.scope, []).append(
                (claim.low, claim.high, kind, identifier, claim.field)
            )

    @property
    def revision(self) -> str:
        """The commit, as given."""
        return self._revision

    def get(self, kind: str, identifier: str) -> Any:
        """The value, or None."""
        return self._documents.get((kind, identifier))

    def ids(self, kind: str) -> list[str]:
        """All ids of a kind, sorted."""
        return sorted(self._by_kind.get(kind, ()))

    def all(self, kind: str) -> Iterator[tuple[str, Any]]:
        """(id, value), by id."""
        for identifier in self.ids(kind):
            yield identifier, self._documents[kind, identifier]

    def referrers(self, kind: str, identifier: str, by: str | None = None) -> list[Identity]:
        """Who names it, sorted."""
        return sorted(r for r in self._referrers.get((kind, identifier), ()) if by in (None, r[0]))

    def claims_overlapping(
        self, scope: str, low: str, high: str
    ) -> list[tuple[str, str, tuple[str | int, ...]]]:
        """Overlapping claims of a scope, sorted."""
        found = self._claims.get(scope, ())
        return sorted((c[2], c[3], c[4]) for c in found if c[0] <= high and low <= c[1])


Read = tuple[str, str, str]
"""("get", kind, id), ("all", kind, "") or ("referrers/<by>", kind, id)."""


class Recorded:
    """A Reader that remembers what was asked: the devices affected by a change follow from it."""

    def __init__(self, inner: Reader) -> None:
        self._inner = inner
        self.reads: set[Read] = set()

    @property
    def revision(self) -> str:
        """The inner reader's revision."""
        return self._inner.revision

    def get(self, kind: str, identifier: str) -> Any:
        """The value, or None; an absent document was asked for all the same."""
        self.reads.add(("get", kind, identifier))
        return self._inner.get(kind, identifier)

    def ids(self, kind: str) -> list[str]:
        """All ids of a kind."""
        self.reads.add(("all", kind, ""))
        return self._inner.ids(kind)

    def all(self, kind: str) -> Iterator[tuple[str, Any]]:
        """All documents of a kind."""
        self.reads.add(("all", kind, ""))
        return self._inner.all(kind)

    def referrers(self, kind: str, identifier: str, by: str | None = None) -> list[Identity]:
        """Who names it."""
        self.reads.add((f"referrers/{by or '*'}", kind, identifier))
        return self._inner.referrers(kind, identifier, by)

    def claims_overlapping(
        self, scope: str, low: str, high: str
    ) -> list[tuple[str, str, tuple[str | int, ...]]]:
        """Not recorded: claims serve checks, never a rendering."""
        return self._inner.claims_overlapping(scope, low, high)


def touched(kind: str, identifier: str, references: Iterable[Identity]) -> set[Read]:
    """Every recorded read that a change of this document can alter.

    `references` are what the document names, before and after the change.
    """
    reads: set[Read] = {("get", kind, identifier), ("all", kind, "")}
    for named_kind, named in references:
        reads.add((f"referrers/{kind}", named_kind, named))
        reads.add(("referrers/*", named_kind, named))
    return reads
