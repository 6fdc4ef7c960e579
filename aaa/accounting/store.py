"""Apply a batch of records in one transaction: sessions, usage by day. Doing it again changes nothing."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zlib import crc32

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from aaa.accounting.merge import Session, find, merge
from aaa.accounting.record import OFF, ON, AccountingRecord
from aaa.limits.noted import Noted
from aaa.models import session, usage_day
from core.db import insert_many

_Key = tuple[str, bytes]
_MISSED = 3


class _Work:
    """A batch in progress: sessions by key, what is new, what changed, octets by service and day."""

    def __init__(self) -> None:
        self.sessions: dict[_Key, list[Session]] = defaultdict(list)
        self.new: set[str] = set()
        self.changed: dict[str, Session] = {}
        self.usage: dict[tuple[str, date], list[int]] = defaultdict(lambda: [0, 0])
        self.noted = Noted()

    def take(self, record: AccountingRecord) -> None:
        """Merge one record."""
        key = (record.nas, record.session_id)
        before = find(self.sessions[key], record)
        merged = merge(before, record)
        after = merged.session
        if before is None:
            self.new.add(after.session_ref)
            self._supersede(key, after)
        self.sessions[key] = [one for one in self.sessions[key] if one is not before] + [after]
        if after != before:
            self.changed[after.session_ref] = after
            self.noted.take(record, before, after, merged.up, merged.down)
        if merged.up or merged.down:
            octets = self.usage[after.service, datetime.fromtimestamp(record.at, UTC).date()]
            octets[0] += merged.up
            octets[1] += merged.down

    def _supersede(self, key: _Key, after: Session) -> None:
        """A NAS that uses an Acct-Session-Id again has none of the older sessions of that id."""
        for index, older in enumerate(self.sessions[key]):
            if older.state == "open" and older.started_at < after.started_at:
                closed = msgspec.structs.replace(
                    older,
                    state="closed",
                    inferred=True,
                    stale=False,
                    stopped_at=after.started_at,
                    cause="superseded",
                )
                self.sessions[key][index] = self.changed[older.session_ref] = closed


def apply(conn: Connection, records: Sequence[AccountingRecord]) -> None:
    """Write the records in the caller's transaction; those of one session are taken in their order."""
    plain = [record for record in records if record.kind not in (ON, OFF)]
    work = _Work()
    keys = sorted({(record.nas, record.session_id) for record in plain})
    _lock(conn, keys)
    for row in _rows(conn, keys):
        work.sessions[row.nas, row.acct_session_id].append(row)
    for record in plain:
        work.take(record)
    _write(conn, work)
    for record in records:
        if record.kind in (ON, OFF):
            close_all(conn, record.nas, datetime.fromtimestamp(record.at, UTC))
    work.noted.settle(conn)  # last: its feed has one writer at a time


def close_all(conn: Connection, nas: str, moment: datetime) -> None:
    """Accounting-On or -Off: the NAS has none of the sessions that began before (RFC 2866 section 5.1)."""
    conn.execute(
        sa.update(session)
        .where(session.c.nas == nas, session.c.state == "open", session.c.started_at <= moment)
        .values(state="closed", inferred=True, stale=False, stopped_at=moment, cause="nas-reboot")
    )


def close_silent(conn: Connection, moment: datetime, up_since: datetime | None = None) -> int:
    """Close, as inferred, sessions that missed three interims; a later record reopens them. Returns how many.

    Silence before `up_since` is ours, not theirs: a session gets three intervals from then.
    """
    closed = 0
    intervals = conn.scalars(sa.select(session.c.interim).where(session.c.state == "open").distinct()).all()
    for interim in intervals:
        before = moment - timedelta(seconds=interim * _MISSED)
        if up_since is not None and up_since > before:
            continue
        silent = session.c.updated_at < before
        closed += conn.execute(
            sa.update(session)
            .where(session.c.state == "open", session.c.interim == interim, silent)
            .values(state="closed", inferred=True, stale=False, stopped_at=moment, cause="silent")
        ).rowcount
    return closed


def _lock(conn: Connection, keys: list[_Key]) -> None:
    """Serialise writers of one session; SQLite's writer is alone anyway."""
    if conn.dialect.name == "sqlite" or not keys:
        return
    numbers = sorted({crc32(nas.encode() + b"\0" + session_id) for nas, session_id in keys})
    conn.execute(
        sa.text("SELECT pg_advisory_xact_lock(5176, n) FROM unnest(CAST(:numbers AS int[])) AS n"),
        {"numbers": [number - (1 << 31) for number in numbers]},
    )


def _rows(conn: Connection, keys: list[_Key]) -> list[Session]:
    found = []
    for start in range(0, len(keys), 300):
        wanted = sa.tuple_(session.c.nas, session.c.acct_session_id).in_(keys[start : start + 300])
        # The newest first: an Acct-Session-Id may come back after a reboot.
        statement = sa.select(session).where(wanted).order_by(session.c.started_at.desc())
        found += [session_of(row) for row in conn.execute(statement)]
    return found


def session_of(row: sa.Row[tuple[object, ...]]) -> Session:
    """A row of table `session` as a Session."""
    fields = dict(row._mapping)
    fields["acct_session_id"] = bytes(fields["acct_session_id"])
    fields["circuit"] = bytes(fields["circuit"])
    return Session(**fields)


def _write(conn: Connection, work: _Work) -> None:
    rows = [msgspec.structs.asdict(one) for one in work.changed.values()]
    insert_many(conn, session, [row for row in rows if row["session_ref"] in work.new])
    changed = [row for row in rows if row["session_ref"] not in work.new]
    if changed:
        columns = [name for name in changed[0] if name != "session_ref"]
        statement = sa.update(session).where(session.c.session_ref == sa.bindparam("ref"))
        statement = statement.values({name: sa.bindparam(f"to_{name}") for name in columns})
        conn.execute(
            statement,
            [
                {"ref": row["session_ref"]} | {f"to_{name}": row[name] for name in columns}
                for row in sorted(changed, key=lambda row: str(row["session_ref"]))
            ],
        )
    _add_usage(conn, work)


def _add_usage(conn: Connection, work: _Work) -> None:
    rows = [
        {"service": service, "day": day, "up_octets": up, "down_octets": down}
        for (service, day), (up, down) in sorted(work.usage.items())
        if service
    ]
    if not rows:
        return
    build = sqlite.insert if conn.dialect.name == "sqlite" else postgresql.insert
    insert = build(usage_day)
    statement = insert.on_conflict_do_update(
        index_elements=["service", "day"],
        set_={name: usage_day.c[name] + insert.excluded[name] for name in ("up_octets", "down_octets")},
    )
    conn.execute(statement, rows)
