"""IndexReader: the good documents of the indexed commit, each question one indexed query."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.db import Database
from intents.index import body
from intents.index.models import claim, document, index_state, kind_count, reference
from intents.reader import Claimed
from intents.spans import stems_of

_AT_ONCE = 500
# Prepared once: building and hashing a statement costs more than the database needs to answer it.
_BODY = sa.select(document.c.body).where(
    document.c.kind == sa.bindparam("kind"), document.c.id == sa.bindparam("id")
)
_BODIES = sa.select(document.c.id, document.c.body).where(
    document.c.kind == sa.bindparam("kind"), document.c.id.in_(sa.bindparam("ids", expanding=True))
)
_NAMING = sa.select(reference.c.to_id, reference.c.kind, reference.c.id).where(
    reference.c.to_kind == sa.bindparam("kind"), reference.c.to_id.in_(sa.bindparam("ids", expanding=True))
)
_REFERRERS = sa.select(reference.c.kind, reference.c.id).where(
    reference.c.to_kind == sa.bindparam("kind"), reference.c.to_id == sa.bindparam("id")
)
_CLAIMS = sa.select(claim.c.kind, claim.c.id, claim.c.field).where(claim.c.scope == sa.bindparam("scope"))
_BEGINNING = _CLAIMS.where(claim.c.low.between(sa.bindparam("low"), sa.bindparam("high")))
_AROUND = _CLAIMS.where(
    claim.c.stem.in_(sa.bindparam("stems", expanding=True)),
    claim.c.low < sa.bindparam("low"),
    claim.c.high >= sa.bindparam("low"),
)


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
        query = _REFERRERS if by is None else _REFERRERS.where(reference.c.kind == by)
        rows = self._rows(query, {"kind": kind, "id": identifier})
        return iter(sorted((one, other) for one, other in rows))

    def many(self, kind: str, ids: Iterable[str]) -> dict[str, Any]:
        """The values of those of the ids that are there; not kept, for who goes through a large network."""
        found: dict[str, Any] = {}
        for some in _portions(ids):
            rows = self._rows(_BODIES, {"kind": kind, "ids": some})
            found |= {identifier: body.decode(kind, packed) for identifier, packed in rows}
        return found

    def naming(self, kind: str, ids: Iterable[str]) -> dict[str, list[tuple[str, str]]]:
        """Who names each of these things, sorted; without those that nobody names."""
        found: dict[str, list[tuple[str, str]]] = {}
        for some in _portions(ids):
            for named, one, other in self._rows(_NAMING, {"kind": kind, "ids": some}):
                found.setdefault(named, []).append((one, other))
        return {named: sorted(pairs) for named, pairs in found.items()}

    def claims_overlapping(self, scope: str, low: str, high: str) -> Iterator[Claimed]:
        """The claims in `scope` that overlap `low`..`high`, bounds included."""
        bounds = {"scope": scope, "low": low, "high": high}
        around = {"scope": scope, "low": low, "stems": list(stems_of(low))}
        for query, given in ((_BEGINNING, bounds), (_AROUND, around)):
            for kind, identifier, field in self._rows(query, given):
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
        packed = self._rows(_BODY, {"kind": kind, "id": identifier}).scalar()
        return None if packed is None else body.decode(kind, packed)

    def _rows(self, query: Any, given: dict[str, Any] | None = None) -> Any:
        self.queries += 1
        return self._conn.execute(query, given)


def _portions(ids: Iterable[str]) -> Iterator[list[str]]:
    """The ids in parts that one statement takes."""
    ordered = sorted(ids)
    for start in range(0, len(ordered), _AT_ONCE):
        yield ordered[start : start + _AT_ONCE]


@contextmanager
def open_reader(index_db: Database) -> Iterator[IndexReader]:
    """A reader of one snapshot of the index."""
    with index_db.read() as conn:
        yield IndexReader(conn)
