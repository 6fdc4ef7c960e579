"""A carrier's file of call records: every line is taken once or named with its reason; the file again adds nothing."""

import csv
import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from billing.calls import numbers
from billing.calls.errors import ColumnsMissing, NumberNotUsable
from billing.calls.models import call_record
from billing.periods import zone
from core import clock, db, faults
from core.db import Database

NEEDED = ("caller", "callee", "started", "seconds")
COLUMNS = (*NEEDED, "id", "service")
"""What a line may say. `id` names it for the carrier; without one all of the line does."""
_AT_ONCE = 2_000
P_BATCH = faults.declare("billing.after_call_batch")


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """How a carrier writes: our name -> theirs; `country` for local numbers; `timezone` for times without one."""

    carrier: str
    columns: dict[str, str] = {}
    country: str = ""
    timezone: str = "UTC"
    delimiter: str = ","


class Rejected(msgspec.Struct, frozen=True):
    """A line that was not taken."""

    line: int
    reason: str
    row: dict[str, str]


class Imported(msgspec.Struct, frozen=True):
    """What became of a file's lines. `nobodys`: taken, but the caller is no service's yet."""

    lines: int
    new: int
    known: int
    nobodys: int
    rejected: tuple[Rejected, ...]


def read(
    database: Database, path: Path, shape: Shape, *, watch: Callable[[int], None] = lambda _: None
) -> Imported:
    """Take a file in, in batches of a transaction each; after a crash the same again takes the rest.

    Raises ColumnsMissing. A line that cannot be read is rejected, the others are taken.
    """
    with database.read() as conn:
        known = numbers.owners(conn)
    lines, new, nobodys, bad = 0, 0, 0, list[Rejected]()
    batch: list[dict[str, Any]] = []
    for line, row in _rows(path, shape):
        lines += 1
        try:
            batch.append(_record(path, line, row, shape, known))
        except (ValueError, NumberNotUsable) as error:
            bad.append(Rejected(line, str(error), row))
        if len(batch) == _AT_ONCE:
            added = _store(database, batch)
            new, nobodys, batch = new + added[0], nobodys + added[1], []
            watch(lines)
    if batch:
        added = _store(database, batch)
        new, nobodys = new + added[0], nobodys + added[1]
    watch(lines)
    return Imported(lines, new, lines - len(bad) - new, nobodys, tuple(bad))


def write_rejected(path: Path, found: tuple[Rejected, ...]) -> None:
    """The rejected lines as a file to mend and to import: theirs, with line and reason before."""
    with path.open("w", encoding="utf-8", newline="") as file:
        names = list(dict.fromkeys(name for one in found for name in one.row))
        writer = csv.DictWriter(file, ["line", "reason", *names])
        writer.writeheader()
        for one in found:
            writer.writerow({"line": one.line, "reason": one.reason, **one.row})


def _rows(path: Path, shape: Shape) -> Iterator[tuple[int, dict[str, str]]]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.DictReader(file, delimiter=shape.delimiter, restkey="more", restval="")
        there = list(reader.fieldnames or ())
        missing = [name for name in NEEDED if shape.columns.get(name, name) not in there]
        if missing:
            raise ColumnsMissing(str(path), missing, there)
        for row in reader:
            yield (
                reader.line_num,
                {key: value if isinstance(value, str) else "" for key, value in row.items()},
            )


def _record(
    path: Path, line: int, row: Mapping[str, str], shape: Shape, known: Mapping[str, list[numbers.Span]]
) -> dict[str, Any]:
    def said(name: str) -> str:
        return row.get(shape.columns.get(name, name), "").strip()

    if "more" in row:
        raise ValueError("it has more fields than the heading")
    caller, callee = numbers.e164(said("caller"), shape.country), numbers.e164(said("callee"), shape.country)
    started, seconds = _moment(said("started"), shape.timezone), _whole(said("seconds"))
    service = said("service") or numbers.owner_at(known.get(caller, []), started)
    named = said("id") or f"{caller}|{callee}|{started.isoformat()}|{seconds}"
    return {
        "id": hashlib.sha256(f"{shape.carrier}|{named}".encode()).hexdigest(), "carrier": shape.carrier,
        "service": service, "caller": caller, "callee": callee, "started_at": started, "seconds": seconds,
        "file": path.name[:200], "line": line, "recorded_at": clock.now(),
    }  # fmt: skip


def _store(database: Database, batch: list[dict[str, Any]]) -> tuple[int, int]:
    """Those that are new: how many, and how many of them are nobody's."""
    rows = {row["id"]: row for row in batch}
    with database.write() as conn:
        there: set[str] = set()
        names = list(rows)
        for start in range(0, len(names), 500):
            query = sa.select(call_record.c.id).where(call_record.c.id.in_(names[start : start + 500]))
            there |= set(conn.execute(query).scalars())
        fresh = [row for name, row in rows.items() if name not in there]
        db.insert_many(conn, call_record, fresh)
    faults.point(P_BATCH)
    return len(fresh), sum(row["service"] is None for row in fresh)


def _moment(text: str, timezone: str) -> datetime:
    if text.isascii() and text.isdecimal() and len(text) <= 11:
        return datetime.fromtimestamp(int(text), UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"'{text[:40]}' is no time such as 2026-01-31T23:59:00+08:00") from error
    aware = found if found.tzinfo else found.replace(tzinfo=zone(timezone))
    return aware.astimezone(UTC)


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 7):
        raise ValueError(f"'{text[:40]}' is no number of seconds")
    return int(text)
