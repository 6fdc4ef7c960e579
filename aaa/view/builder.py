"""ViewBuilder: follow index_change and the recorded limits, compile what they touch, append what really changed."""

import bisect
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy as sa
import structlog

from aaa.limits.limit import PLAN, VOUCHER_ID, Limits
from aaa.vendors.registry import names
from aaa.view import limits as recorded_limits
from aaa.view import realms
from aaa.view.affected import PROJECTED, Affected, affected, projection
from aaa.view.ahead import ahead
from aaa.view.compile import Secrets, compile_nas, compile_service, compile_voucher, hotspots
from aaa.view.cpe import OWNER, compile_line, lines_of
from aaa.view.models import ensure, put_state, state, view_projection, view_record
from aaa.view.pools import compile_pool
from aaa.view.records import ViewRecord
from aaa.view.replace import replace
from aaa.view.seal import OpenSecret, Seal
from core import faults
from core.db import Database, DatabaseAway, upsert
from core.errors import Terminal, first_line
from intents.index.models import index_change, index_state
from intents.reader import Reader

BEFORE_WRITE = faults.declare("view.before_write")
AFTER_WRITE = faults.declare("view.after_write")
BEFORE_LIMITS = faults.declare("view.before_limits")

ReaderFactory = Callable[[], AbstractContextManager[Reader]]
_CHUNK = 200
_PORTION = 400
"""So many services of a plan whose slot changed are compiled at once: a hold waits no longer behind them."""
_AWAY = (DatabaseAway, sa.exc.OperationalError, sa.exc.InterfaceError)
_SERVICE = "service:"
_log = structlog.get_logger()
_TOLD = 5
"""So many records that cannot be compiled are named; a missing key concerns them all."""


class ViewBuilder:
    """Keeps the view's tables at the index and at the recorded limits. One at a time (the indexer's lease covers it).

    `recorded` is the database of recorded state; None: nothing is limited. While it is away, the index is followed
    with the limits that were known last.
    """

    def __init__(
        self,
        index_db: Database,
        reader_factory: ReaderFactory,
        open_secret: OpenSecret,
        seal: Seal,
        recorded: Database | None = None,
    ) -> None:
        self._db, self._recorded = index_db, recorded
        self._away = False
        self._sweeping: tuple[str, list[str]] = "", []
        self._reader = reader_factory
        self._secrets = Secrets(open_secret, seal)
        self._kept = 0
        ensure(index_db)

    def run_once(self) -> int:
        """Take over what the index and the limits have beyond our positions; returns how many records changed."""
        return self._follow_index() + self._follow_limits() + self._sweep()

    def _follow_index(self) -> int:
        with self._db.read() as conn:
            if conn.scalar(sa.select(index_state.c.commit_id)) is None:
                return 0  # an index without its first commit knows nobody: no reason to forget everybody
            position, generation = state(conn, "index_seq"), state(conn, "index_generation")
            newest = conn.scalar(sa.select(sa.func.max(index_change.c.seq))) or 0
            now = f"{conn.scalar(sa.select(index_state.c.generation)) or ''}/{self._secrets.seal.fingerprint}"
        # Another generation (the index was built anew and counts from the beginning) or view key: build anew, too.
        if position is None or generation != now:
            return self._build_all(newest, now)
        if int(position) == newest:
            return 0
        with self._db.read() as conn:
            rows = conn.execute(
                sa.select(index_change.c.kind, index_change.c.id)
                .where(index_change.c.seq > int(position), index_change.c.seq <= newest)
                .distinct()
            )
            changes = [(str(kind), str(identifier)) for kind, identifier in rows]
        with self._reader() as reader:
            digests, unchanged = self._projected(reader, changes)
            touched = affected(reader, changes, unchanged)
            touched.services |= self._vouchers_of(set(digests) - unchanged)
            return self._settle(reader, touched, digests, newest)

    def _vouchers_of(self, changed: set[tuple[str, str]]) -> set[str]:
        """Vouchers that depend on these documents: on a plan, or on which NASes are hotspots and of what vendor."""
        plans = {one for kind, one in changed if kind == "plan"}
        with self._db.read() as conn:
            if any(kind == "device" for kind, _one in changed):
                return recorded_limits.vouchers(conn)
            return recorded_limits.vouchers(conn, plans) if plans else set()

    def _follow_limits(self) -> int:
        """Compile the services whose recorded limits changed, and them alone; a plan's slot begins a sweep."""
        if self._recorded is None:
            return 0
        try:
            with self._db.read() as conn:
                if state(conn, "index_seq") is None:
                    return 0  # the first build reads them all
                after = recorded_limits.position(conn)
            news = None if after is None else recorded_limits.news(self._recorded, after)
            news = news or self._all_limits()
            self._away = False
        except _AWAY as error:
            if not self._away:
                _log.warning("limits are not followed", error=first_line(error))
            self._away = True
            return 0
        return self._take_over(news, after)

    def _take_over(self, news: recorded_limits.News, after: int | None) -> int:
        if news.upto == after and not news.services:
            return 0
        services = [one for one in sorted(news.services) if not one.startswith(PLAN)]
        plans = news.services - set(services)
        known = recorded_limits.limits_of(news.limits)
        changed = 0
        with self._reader() as reader:
            for some in _chunks(services):
                # The copy first: what is compiled is what it says, and doing it again changes nothing.
                with self._db.write() as conn:
                    recorded_limits.keep(conn, some, [one for name in some for one in known.of(name)])
                changed += self._write(reader, [f"{_SERVICE}{one}" for one in some])
        faults.point(BEFORE_LIMITS)
        with self._db.write() as conn:
            recorded_limits.keep(conn, plans, [one for name in plans for one in known.of(name)])
            for plan in plans:
                recorded_limits.sweep(conn, plan.removeprefix(PLAN))
            recorded_limits.moved(conn, news.upto)
        return changed + len(plans)

    def _all_limits(self) -> recorded_limits.News:
        assert self._recorded is not None
        found = recorded_limits.everything(self._recorded)
        with self._db.read() as conn:
            return recorded_limits.whole(conn, found)

    def _sweep(self) -> int:
        """A portion of the services of a plan whose slot changed; holds and single limits come in between."""
        with self._db.read() as conn:
            found = recorded_limits.pending(conn)
        if found is None:
            return 0
        plan, after = found
        with self._reader() as reader:
            if self._sweeping[0] != plan or not after:
                named = reader.referrers("plan", plan, "service")
                self._sweeping = plan, sorted(one for _kind, one in named)
            # Whoever joins the plan meanwhile is compiled for that, with the slot that is open.
            first = bisect.bisect_right(self._sweeping[1], after)
            services = self._sweeping[1][first : first + _PORTION]
            for some in _chunks([f"{_SERVICE}{one}" for one in services]):
                self._write(reader, some)
        with self._db.write() as conn:
            recorded_limits.swept(conn, plan, services[-1] if len(services) == _PORTION else None)
        return max(1, len(services))

    def _copy_limits(self) -> None:
        """Before a build from nothing. Without the recorded database it waits, if no copy is there: a build that
        knows no limit would set free whoever used up what they had, and forget who has credit.
        """
        if self._recorded is None:
            return
        try:
            news = self._all_limits()
        except _AWAY:
            with self._db.read() as conn:
                if recorded_limits.position(conn) is None:
                    raise
            return
        with self._db.write() as conn:
            recorded_limits.keep(conn, news.services, news.limits)
            recorded_limits.moved(conn, news.upto)

    def _build_all(self, newest: int, generation: str) -> int:
        with self._db.write() as conn:
            # Before the first record: a node with another view key must not take over what it cannot open.
            put_state(conn, "seal", self._secrets.seal.fingerprint)
        self._copy_limits()
        with self._reader() as reader:
            digests = {
                (kind, identifier): projection(reader, kind, identifier)
                for kind in PROJECTED
                for identifier in reader.ids(kind)
            }
            devices = reader.ids("device")
            lines = set(lines_of(reader, devices))
            everything = Affected(
                set(reader.ids("service")), set(devices), lines, config=True, pools=set(reader.ids("pool"))
            )
            with self._db.read() as conn:
                owners = conn.scalars(sa.select(view_record.c.owner).distinct()).all()
                everything.services |= recorded_limits.vouchers(conn)
            for owner in owners:
                kind, _colon, identifier = owner.partition(":")
                known = {
                    "service": everything.services,
                    "device": everything.devices,
                    "pool": everything.pools,
                    OWNER: everything.lines,
                }
                if kind in known:
                    known[kind].add(identifier)
            changed = self._settle(reader, everything, digests, newest)
        with self._db.write() as conn:
            put_state(conn, "index_generation", generation)
        return changed

    def _projected(
        self, reader: Reader, changes: Iterable[tuple[str, str]]
    ) -> tuple[dict[tuple[str, str], bytes], set[tuple[str, str]]]:
        """New digests of changed documents, and those whose digest is what it was."""
        digests = {(kind, one): projection(reader, kind, one) for kind, one in changes if kind in PROJECTED}
        unchanged = set()
        with self._db.read() as conn:
            for (kind, identifier), digest in digests.items():
                known = conn.scalar(
                    sa.select(view_projection.c.digest).where(
                        view_projection.c.kind == kind, view_projection.c.id == identifier
                    )
                )
                if known is not None and bytes(known) == digest:
                    unchanged.add((kind, identifier))
        return digests, unchanged

    def _settle(
        self, reader: Reader, touched: Affected, digests: dict[tuple[str, str], bytes], newest: int
    ) -> int:
        """Compile in chunks, each its own short transaction; the position moves with the last one."""
        changed, self._kept = 0, 0
        for owners in _chunks(
            [
                *([realms.OWNER] if touched.config else []),
                *(f"device:{one}" for one in sorted(touched.devices)),
                *(f"pool:{one}" for one in sorted(touched.pools)),
                *(f"service:{one}" for one in sorted(touched.services)),
                *(f"{OWNER}:{one}" for one in sorted(touched.lines)),
            ]
        ):
            changed += self._write(reader, owners)
        if self._kept > _TOLD:
            _log.error("kept at their last good records", owners=self._kept, told=_TOLD)
        faults.point(BEFORE_WRITE)
        with self._db.write() as conn:
            rows = [{"kind": kind, "id": one, "digest": digest} for (kind, one), digest in digests.items()]
            upsert(conn, view_projection, rows, key=["kind", "id"])
            put_state(conn, "index_seq", str(newest))
        faults.point(AFTER_WRITE)
        return changed

    def _write(self, reader: Reader, owners: list[str]) -> int:
        compiled = self._compiled(reader, owners)
        with self._db.write() as conn:
            return replace(conn, compiled)

    def _compiled(self, reader: Reader, owners: list[str]) -> dict[str, list[ViewRecord]]:
        """The records of a chunk of owners, without those that keep what they have."""
        services = [one.removeprefix(_SERVICE) for one in owners if one.startswith(_SERVICE)]
        known = ahead(reader, [one for one in services if not one.startswith(VOUCHER_ID)])
        with self._db.read() as conn:
            limits = recorded_limits.known(conn, services)
        nases = hotspots(reader) if any(one.startswith(VOUCHER_ID) for one in services) else []
        compiled = {owner: self._compile(known, owner, limits, nases) for owner in owners}
        return {owner: records for owner, records in compiled.items() if records is not None}

    def _compile(
        self, reader: Reader, owner: str, limits: Limits, nases: list[tuple[str, Any]]
    ) -> list[ViewRecord] | None:
        """An owner's records; None keeps the last good ones, when a secret or a vendor is not usable."""
        kind, _colon, identifier = owner.partition(":")
        try:
            if identifier.startswith(VOUCHER_ID) and kind == "service":
                return compile_voucher(reader, identifier, limits, nases)
            if kind == "service":
                return compile_service(reader, identifier, self._secrets, limits)
            if kind == "pool":
                return compile_pool(reader, identifier)
            if kind == OWNER:
                return compile_line(reader, identifier, self._secrets.moved)
            if owner == realms.OWNER:
                return realms.compile_realms(reader, self._secrets)
            return compile_nas(reader, identifier, self._secrets)
        except Terminal as error:
            self._kept += 1
            if self._kept <= _TOLD:
                _log.error("kept at its last good record", owner=owner, error=str(error), vendors=names())
            return None


def _chunks(owners: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(owners), _CHUNK):
        yield owners[start : start + _CHUNK]
