"""IndexReader: the good documents of the indexed commit, each question one indexed query."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.db import Database
from intents.index import body
from intents.index.models import claim, document, index_state, kind_count, reference
from intents.reader import Claimed
from intents.spans import stems_of


class IndexReader:
    """A Reader over one snapshot of the index. `queries` counts what it asked."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._kept: dict[tuple[str, str], Any] = {}
        self.queries = 0

    @property
    def revision(self) -> str:
        """The indexed commit; empty before the first."""
        return self._rows(sa.select(index_state.c.commit_id)).scalar() or ""

    def get(self, kind: str, identifier: str) -> Any:
        """The document's value, or None; asked once a snapshot."""
        key = (kind, identifier)
        if key not in self._kept:
            self._kept[key] = self._fetch(kind, identifier)
        return self._kept[key]

    def ids(self, kind: str) -> list[str]:
        """All ids of a kind, sorted."""
        return sorted(self._rows(sa.select(document.c.id).where(document.c.kind == kind)).scalars())

    def all(self, kind: str) -> Iterator[tuple[str, Any]]:
        """(id, value) of all documents of a kind, by id."""
        query = sa.select(document.c.id, document.c.body).where(document.c.kind == kind)
        for identifier, packed in sorted(self._rows(query)):
            yield identifier, body.decode(kind, packed)

    def exists(self, kind: str, identifier: str) -> bool:
        """Whether there is a good document: the index keeps no other."""
        return self.get(kind, identifier) is not None

    def referrers(self, kind: str, identifier: str, by: str | None = None) -> Iterator[tuple[str, str]]:
        """Who names this thing, sorted; `by` narrows to one kind of referrer."""
        query = sa.select(reference.c.kind, reference.c.id).where(
            reference.c.to_kind == kind, reference.c.to_id == identifier
        )
        if by is not None:
            query = query.where(reference.c.kind == by)
        return iter(sorted((one, other) for one, other in self._rows(query)))

    def claims_overlapping(self, scope: str, low: str, high: str) -> Iterator[Claimed]:
        """The claims in `scope` that overlap `low`..`high`, bounds included."""
        begins = claim.c.low.between(low, high)
        around = sa.and_(claim.c.stem.in_(stems_of(low)), claim.c.low < low, claim.c.high >= low)
        columns = sa.select(claim.c.kind, claim.c.id, claim.c.field)
        for where in (begins, around):
            for kind, identifier, field in self._rows(columns.where(claim.c.scope == scope, where)):
                yield Claimed(kind, identifier, tuple(field))

    def count(self, kind: str) -> int:
        """How many documents of a kind there are; no scan."""
        query = sa.select(kind_count.c.count).where(kind_count.c.kind == kind)
        return int(self._rows(query).scalar() or 0)

    def blob(self, kind: str, identifier: str) -> str | None:
        """The blob that a document's value comes from."""
        query = sa.select(document.c.blob).where(document.c.kind == kind, document.c.id == identifier)
        found: str | None = self._rows(query).scalar()
        return found

    def _fetch(self, kind: str, identifier: str) -> Any:
        query = sa.select(document.c.body).where(document.c.kind == kind, document.c.id == identifier)
        packed = self._rows(query).scalar()
        return None if packed is None else body.decode(kind, packed)

    def _rows(self, query: Any) -> Any:
        self.queries += 1
        return self._conn.execute(query)


@contextmanager
def open_reader(index_db: Database) -> Iterator[IndexReader]:
    """A reader of one snapshot of the index."""
    with index_db.read() as conn:
        yield IndexReader(conn)
