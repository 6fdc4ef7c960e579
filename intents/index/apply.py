"""Apply: write what the trial let through into the index, and append to the sequence of changes."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import clock, db
from intents import kinds
from intents.index import body
from intents.index.models import claim, document, index_change, kind_count, quarantine, reference
from intents.index.trial import Bad, Good
from intents.spans import stem

_CHUNK = 400


def apply(conn: Connection, commit: str, good: Sequence[Good]) -> int:
    """Write documents, references, claims, counts and changes; what is already so is left alone.

    Returns how many documents changed.
    """
    there = _blobs(conn, [one.key for one in good]) if _may_be_there(conn, good) else {}
    changed = [one for one in good if there.get(one.key) != one.candidate.blob]
    _forget(conn, [one.key for one in changed if one.key in there])
    # Sorted: rows that come in the order of their keys are written side by side.
    written = sorted((one for one in changed if one.value is not None), key=lambda one: one.key)
    for some in _portions(written):  # so that the rows of a large network are never in memory together
        db.insert_many(conn, document, [_document(one) for one in some])
        db.insert_many(conn, reference, [row for one in some for row in _references(one)])
        db.insert_many(conn, claim, [row for one in some for row in _claims(one)])
    _count(conn, changed, there)
    for some in _portions(changed):
        db.insert_many(conn, index_change, [_change(commit, one) for one in some])
    return len(changed)


def set_quarantine(conn: Connection, gone: Iterable[str], rows: Sequence[tuple[Bad, str]]) -> None:
    """Paths that are well (or overwritten) leave; bad ones come with (problems, why)."""
    paths = sorted(set(gone) | {bad.candidate.path for bad, _ in rows})
    for start in range(0, len(paths), _CHUNK):
        conn.execute(sa.delete(quarantine).where(quarantine.c.path.in_(paths[start : start + _CHUNK])))
    db.insert_many(conn, quarantine, [_quarantined(bad, why) for bad, why in rows])


def _may_be_there(conn: Connection, good: Sequence[Good]) -> bool:
    """Whether it is worth asking for each: a cold build begins with nothing."""
    return len(good) <= _CHUNK or conn.execute(sa.select(document.c.id).limit(1)).first() is not None


def _portions(good: list[Good]) -> Iterator[list[Good]]:
    for start in range(0, len(good), _CHUNK):
        yield good[start : start + _CHUNK]


def _blobs(conn: Connection, keys: list[tuple[str, str]]) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for kind, ids in _by_kind(keys):
        query = sa.select(document.c.id, document.c.blob)
        for start in range(0, len(ids), _CHUNK):
            some = query.where(document.c.kind == kind, document.c.id.in_(ids[start : start + _CHUNK]))
            found |= {(kind, identifier): blob for identifier, blob in conn.execute(some)}
    return found


def _forget(conn: Connection, keys: list[tuple[str, str]]) -> None:
    for kind, ids in _by_kind(keys):
        for table in (document, reference, claim):
            for start in range(0, len(ids), _CHUNK):
                some = table.c.id.in_(ids[start : start + _CHUNK])
                conn.execute(sa.delete(table).where(table.c.kind == kind, some))


def _by_kind(keys: Iterable[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for kind, identifier in keys:
        found.setdefault(kind, []).append(identifier)
    return sorted(found.items())


def _count(conn: Connection, changed: Sequence[Good], there: dict[tuple[str, str], str]) -> None:
    steps: Counter[str] = Counter()
    for one in changed:
        steps[one.key[0]] += (one.value is not None) - (one.key in there)
    for kind, step in sorted(steps.items()):
        if not step:
            continue
        more = {"count": kind_count.c.count + step}
        done = conn.execute(sa.update(kind_count).where(kind_count.c.kind == kind).values(more))
        if done.rowcount == 0:
            conn.execute(sa.insert(kind_count).values(kind=kind, count=step))


def _document(one: Good) -> dict[str, Any]:
    kind, identifier = one.key
    return {
        "kind": kind,
        "id": identifier,
        "path": one.candidate.path,
        "blob": one.candidate.blob,
        "body": body.encode(one.value),
    }


def _references(one: Good) -> list[dict[str, Any]]:
    kind, identifier = one.key
    named = sorted({(to.kind, to.id) for to in kinds.references(kind, identifier, one.value)})
    return [{"kind": kind, "id": identifier, "to_kind": to, "to_id": name} for to, name in named]


def _claims(one: Good) -> list[dict[str, Any]]:
    kind, identifier = one.key
    return [
        {
            "kind": kind,
            "id": identifier,
            "position": position,
            "scope": made.scope,
            "low": made.low,
            "high": made.high,
            "stem": stem(made.low, made.high),
            "field": list(made.field),
        }
        for position, made in enumerate(kinds.claims(kind, identifier, one.value))
    ]


def _change(commit: str, one: Good) -> dict[str, Any]:
    kind, identifier = one.key
    return {
        "commit_id": commit,
        "path": one.candidate.path,
        "kind": kind,
        "id": identifier,
        "op": "delete" if one.value is None else "put",
        "blob": one.candidate.blob,
        "changed_at": clock.now(),
    }


def _quarantined(bad: Bad, why: str) -> dict[str, Any]:
    one = bad.candidate
    problems = [msgspec.to_builtins(problem) for problem in bad.problems]
    return {
        "path": one.path,
        "blob": one.blob,
        "mode": one.mode,
        "commit_id": one.commit,
        "why": why,
        "problems": problems,
    }
