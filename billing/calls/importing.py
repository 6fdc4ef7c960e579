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
from billing.models import subscription
from billing.periods import zone
from core import clock, days, db, faults
from core.db import Database

NEEDED = ("caller", "callee", "started", "seconds")
COLUMNS = (*NEEDED, "id", "service")
"""What a line may say. `id` names it for the carrier; without one all of the line does."""
_AT_ONCE = 2_000
_SAYS = ("caller", "callee", "started_at", "seconds")
P_BATCH = faults.declare("billing.after_call_batch")


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """How a carrier writes: our name -> theirs; `timezone` of times without one.

    `country` is where numbers were dialled, `international` what comes there before another country's (`abroad`).
    """

    carrier: str
    columns: dict[str, str] = {}
    country: str = ""
    international: tuple[str, ...] = ()
    timezone: str = "UTC"
    delimiter: str = ","


class Rejected(msgspec.Struct, frozen=True):
    """A line that was not taken."""

    line: int
    reason: str
    row: dict[str, str]


class Imported(msgspec.Struct, frozen=True):
    """What became of a file's lines. `nobodys`: taken, but the caller is no service's yet. `services`: whose calls it
    has. `local`: numbers that were called and are no E.164, so that no deck has a price.
    """

    lines: int
    new: int
    known: int
    nobodys: int
    rejected: tuple[Rejected, ...]
    services: tuple[str, ...] = ()
    local: tuple[str, ...] = ()


_Row = dict[str, str]
_Taken = tuple[int, _Row, dict[str, Any]]
"""A line, what it says, and its record."""


def read(
    database: Database, path: Path, shape: Shape, *, watch: Callable[[int], None] = lambda _: None
) -> Imported:
    """Take a file in, in batches of a transaction each; after a crash the same again takes the rest.

    Raises ColumnsMissing. A line that cannot be read is rejected, the others are taken. Of two records with one id that
    say different things the first is kept, and the other rejected.
    """
    with database.read() as conn:
        known = numbers.owners(conn)
        billed = set(conn.execute(sa.select(subscription.c.service)).scalars())
    lines, new, nobodys, bad, services, local = 0, 0, 0, list[Rejected](), set[str](), set[str]()
    batch: list[_Taken] = []

    def store() -> None:
        nonlocal new, nobodys
        fresh, wrong = _store(database, batch)
        new, nobodys = new + len(fresh), nobodys + sum(one["service"] is None for one in fresh)
        bad.extend(wrong)
        services.update(record["service"] for _, _, record in batch if record["service"])
        local.update(called[1:] for one in fresh if (called := str(one["callee"])).startswith(numbers.LOCAL))
        batch.clear()

    for line, row in _rows(path, shape):
        lines += 1
        try:
            record = _record(path, line, row, shape, known)
            if record["service"] is not None and record["service"] not in billed:
                raise ValueError(_not_billed(record["service"]))
            batch.append((line, row, record))
        except (ValueError, NumberNotUsable) as error:
            bad.append(Rejected(line, str(error), row))
        if len(batch) == _AT_ONCE:
            store()
            watch(lines)
    store()
    watch(lines)
    bad.sort(key=lambda one: one.line)
    again = lines - len(bad) - new
    return Imported(lines, new, again, nobodys, tuple(bad), tuple(sorted(services)), tuple(sorted(local)))


def _not_billed(service: str) -> str:
    return f"service '{service[:40]}' is not billed; name another, or none to go by the caller's number"


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
    caller, callee = (
        numbers.dialled(said(one), shape.country, shape.international) for one in ("caller", "callee")
    )
    if caller.startswith(numbers.LOCAL) and not said("service"):
        raise NumberNotUsable(said("caller"))  # nobody could ever be given it
    started, seconds = _moment(said("started"), shape.timezone), _whole(said("seconds"))
    service = said("service") or numbers.owner_at(known.get(caller, []), started)
    named = said("id") or f"{caller}|{callee}|{started.isoformat()}|{seconds}"
    return {
        "id": hashlib.sha256(f"{shape.carrier}|{named}".encode()).hexdigest(), "carrier": shape.carrier,
        "service": service, "caller": caller, "callee": callee, "started_at": started, "seconds": seconds,
        "file": path.name[:200], "line": line, "recorded_at": clock.now(),
    }  # fmt: skip


def _store(database: Database, batch: list[_Taken]) -> tuple[list[dict[str, Any]], list[Rejected]]:
    """The records that are new, and lines that say something else of a call than an earlier one did."""
    fresh, wrong = list[dict[str, Any]](), list[Rejected]()
    names = list({record["id"] for _, _, record in batch})
    with database.write() as conn:
        there: dict[str, Any] = {}
        for start in range(0, len(names), 500):
            query = sa.select(call_record.c.id, *(call_record.c[name] for name in _SAYS))
            for found in conn.execute(
                query.where(call_record.c.id.in_(names[start : start + 500]))
            ).mappings():
                there[found["id"]] = found
        for line, row, record in batch:
            first = there.setdefault(record["id"], record)
            if first is record:
                fresh.append(record)
            elif any(first[name] != record[name] for name in _SAYS):
                wrong.append(Rejected(line, _other(first, record), row))
        db.insert_many(conn, call_record, fresh)
    faults.point(P_BATCH)
    return fresh, wrong


def _other(first: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    said = ", ".join(
        f"{name} {record[name]} instead of {first[name]}" for name in _SAYS if first[name] != record[name]
    )
    return f"a call with this id was taken in before and is kept; this line says {said}: ask the carrier which is right"


def _moment(text: str, timezone: str) -> datetime:
    if text.isascii() and text.isdecimal() and len(text) <= 11:
        return datetime.fromtimestamp(int(text), UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"'{text[:40]}' is no time such as 2026-01-31T23:59:00+08:00") from error
    if why := days.why_not(found.date()):
        raise ValueError(why)
    aware = found if found.tzinfo else found.replace(tzinfo=zone(timezone))
    return aware.astimezone(UTC)


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 7):
        raise ValueError(f"'{text[:40]}' is no number of seconds")
    return int(text)
