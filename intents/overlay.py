"""A Reader with some documents changed: the tree as it would be."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from intents import kinds
from intents.reader import Claimed, Identity, MemoryReader, Reader
from intents.spans import Span, Spans

NOTHING = MemoryReader(())


class Overlay:
    """`changes` ({(kind, id): value, or None for deleted}) over `base`; only what is asked for is looked at."""

    def __init__(self, base: Reader, changes: Mapping[Identity, Any]) -> None:
        self._base, self._changes = base, changes

    @property
    def revision(self) -> str:
        """The base's revision: the overlay is no commit yet."""
        return self._base.revision

    def get(self, kind: str, identifier: str) -> Any:
        """The value, or None."""
        key = (kind, identifier)
        return self._changes[key] if key in self._changes else self._base.get(kind, identifier)

    def ids(self, kind: str) -> list[str]:
        """All ids of a kind, sorted."""
        changed = self._of_kind.get(kind)
        if changed is None:
            return self._base.ids(kind)
        kept = [one for one in self._base.ids(kind) if one not in changed]
        return sorted(kept + [one for one, value in changed.items() if value is not None])

    def all(self, kind: str) -> Iterator[tuple[str, Any]]:
        """(id, value), by id."""
        changed = self._of_kind.get(kind)
        if changed is None:
            return self._base.all(kind)
        kept = [(one, value) for one, value in self._base.all(kind) if one not in changed]
        added = self._added[kind]
        return iter(sorted(kept + added, key=lambda pair: pair[0]) if kept else added)

    def exists(self, kind: str, identifier: str) -> bool:
        """Whether the document would be there."""
        key = (kind, identifier)
        return self._changes[key] is not None if key in self._changes else self._base.exists(kind, identifier)

    def referrers(self, kind: str, identifier: str, by: str | None = None) -> Iterator[Identity]:
        """Who names it, sorted; `by` narrows to one kind of referrer."""
        kept = [one for one in self._base.referrers(kind, identifier, by) if one not in self._changes]
        added = [one for one in self._naming.get((kind, identifier), ()) if by in (None, one[0])]
        return iter(sorted(kept + added))

    def claims_overlapping(self, scope: str, low: str, high: str) -> Iterator[Claimed]:
        """Who claims a part of the range."""
        for one in self._base.claims_overlapping(scope, low, high):
            if (one.kind, one.id) not in self._changes:
                yield one
        if spans := self._claims.get(scope):
            for span in spans.overlapping(low, high):
                yield Claimed(span.kind, span.id, span.field)

    @functools.cached_property
    def _of_kind(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for (kind, identifier), value in self._changes.items():
            found.setdefault(kind, {})[identifier] = value
        return found

    @functools.cached_property
    def _added(self) -> dict[str, list[tuple[str, Any]]]:
        """What is there of each kind, by id: every check of a whole tree goes through all of it."""
        return {
            kind: sorted((pair for pair in changed.items() if pair[1] is not None), key=lambda pair: pair[0])
            for kind, changed in self._of_kind.items()
        }

    @functools.cached_property
    def _naming(self) -> dict[Identity, set[Identity]]:
        found: dict[Identity, set[Identity]] = {}
        for (kind, identifier), value in self._changes.items():
            if value is not None:
                for named in kinds.references(kind, identifier, value):
                    found.setdefault((named.kind, named.id), set()).add((kind, identifier))
        return found

    @functools.cached_property
    def _claims(self) -> dict[str, Spans]:
        found: dict[str, list[Span]] = {}
        for (kind, identifier), value in self._changes.items():
            if value is not None:
                for claim in kinds.claims(kind, identifier, value):
                    span = Span(claim.low, claim.high, kind, identifier, claim.field)
                    found.setdefault(claim.scope, []).append(span)
        return {scope: Spans(spans) for scope, spans in found.items()}
