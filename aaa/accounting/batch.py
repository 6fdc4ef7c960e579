"""A batch in progress: records merged into their sessions in memory. Pure; the databases only load and save."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import msgspec

from aaa.accounting.held import Move, Start, moves, start_of
from aaa.accounting.merge import Session, find, merge
from aaa.accounting.record import AccountingRecord
from aaa.limits.noted import Noted

Key = tuple[str, bytes]
_INSTANT, _MOMENT = timedelta(microseconds=1), timedelta(milliseconds=1)


class Batch:
    """Sessions by (NAS, Acct-Session-Id), which of them are new, which changed, and octets by service and day."""

    def __init__(self, loaded: Iterable[Session]) -> None:
        self._sessions: dict[Key, list[Session]] = defaultdict(list)
        self._loaded: dict[str, Session] = {}
        self._changed: dict[str, Session] = {}
        self.usage: dict[tuple[str, date], list[int]] = defaultdict(lambda: [0, 0])
        self.noted = Noted()
        self.moves: list[Move] = []
        self.starts: list[Start] = []
        # Always the newest first: an Acct-Session-Id may come back after a reboot.
        for one in sorted(loaded, key=_started, reverse=True):
            self._loaded[one.session_ref] = one
            self._sessions[one.nas, one.acct_session_id].append(one)

    def take(self, record: AccountingRecord) -> None:
        """Merge one record."""
        held = self._sessions[record.nas, record.session_id]
        before = find(held, record)
        merged = merge(before, record)
        after = merged.session
        if before is None:
            after = self._superseded(held, _apart(held, after))
            held.append(after)
            held.sort(key=_started, reverse=True)
            self._changed[after.session_ref] = after
        elif after != before:
            held[held.index(before)] = after
            if after.started_at != before.started_at:
                held.sort(key=_started, reverse=True)
            self._changed[after.session_ref] = after
        self.moves += moves(before, after, record)
        if (told := start_of(before, after)) is not None:
            self.starts.append(told)
        if after != before:
            self.noted.take(record, before, after, merged.up, merged.down)
        if (merged.up or merged.down) and after.service and record.counts:
            octets = self.usage[after.service, datetime.fromtimestamp(record.at, UTC).date()]
            octets[0] += merged.up
            octets[1] += merged.down

    @property
    def new(self) -> list[Session]:
        """Sessions that the database does not have."""
        return [one for ref, one in self._changed.items() if ref not in self._loaded]

    def split(self) -> tuple[list[Session], list[tuple[Session, Session]]]:
        """Sessions of which only counters moved, and (as loaded, as it is now) of those that changed otherwise."""
        counted, moved = [], []
        for ref in sorted(self._changed.keys() & self._loaded.keys()):
            before, after = self._loaded[ref], self._changed[ref]
            if only_counted(before, after):
                counted.append(after)
            else:
                moved.append((before, after))
        return counted, moved

    def _superseded(self, held: list[Session], new: Session) -> Session:
        """A NAS that uses an Acct-Session-Id again has none of the older sessions of that id."""
        for index, other in enumerate(held):
            if other.started_at < new.started_at - _MOMENT and other.state == "open":
                held[index] = self._changed[other.session_ref] = _over(other, new.started_at)
        younger = [other.started_at for other in held if other.started_at > new.started_at + _MOMENT]
        return _over(new, min(younger)) if younger and new.state == "open" else new


def _apart(held: list[Session], new: Session) -> Session:
    """A NAS whose ids are unique by slot only may begin two sessions of one id at one moment: they are told apart by a
    microsecond, which is how the table knows them.
    """
    taken = {one.started_at for one in held}
    while new.started_at in taken:
        new = msgspec.structs.replace(new, started_at=new.started_at + _INSTANT)
    return new


def only_counted(before: Session, after: Session) -> bool:
    """Whether nothing but counters and the moment of hearing moved: what nearly every interim does."""
    return (
        before.state == after.state
        and before.stale == after.stale
        and before.policy_hash == after.policy_hash
        and before.service == after.service
        and before.source == after.source
        and before.stopped_at == after.stopped_at
        and before.started_at == after.started_at
        and before.inferred == after.inferred
        and _places(before) == _places(after)
    )


def _places(one: Session) -> tuple[object, ...]:
    return (
        one.framed_address, one.framed_prefix, one.delegated_prefix, one.framed_address6,
        one.multi_session_id, one.public_address, one.port_first, one.port_last, one.circuit,
    )  # fmt: skip


def _over(one: Session, moment: datetime) -> Session:
    return msgspec.structs.replace(
        one, state="closed", inferred=True, stale=False, stopped_at=moment, cause="superseded"
    )


def _started(one: Session) -> datetime:
    return one.started_at
