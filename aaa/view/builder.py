"""ViewBuilder: follow index_change, compile what it touches, append what really changed."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager

import sqlalchemy as sa
import structlog

from aaa.vendors.registry import names
from aaa.view.affected import PROJECTED, Affected, affected, projection
from aaa.view.ahead import ahead
from aaa.view.compile import Secrets, compile_nas, compile_service
from aaa.view.models import ensure, put_state, state, view_projection, view_record
from aaa.view.pools import compile_pool
from aaa.view.records import ViewRecord
from aaa.view.replace import replace
from aaa.view.seal import OpenSecret, Seal
from core import faults
from core.db import Database, upsert
from core.errors import Terminal
from intents.index.models import index_change, index_state
from intents.reader import Reader

BEFORE_WRITE = faults.declare("view.before_write")
AFTER_WRITE = faults.declare("view.after_write")

ReaderFactory = Callable[[], AbstractContextManager[Reader]]
_CHUNK = 200
_SERVICE = "service:"
_log = structlog.get_logger()
_TOLD = 5
"""So many records that cannot be compiled are named; a missing key concerns them all."""


class ViewBuilder:
    """Keeps the view's tables at the index. One at a time (the indexer's lease covers it)."""

    def __init__(
        self, index_db: Database, reader_factory: ReaderFactory, open_secret: OpenSecret, seal: Seal
    ) -> None:
        self._db = index_db
        self._reader = reader_factory
        self._secrets = Secrets(open_secret, seal)
        self._kept = 0
        ensure(index_db)

    def run_once(self) -> int:
        """Take over everything that the index has beyond our position; returns how many records changed."""
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
            return self._settle(reader, touched, digests, newest)

    def _build_all(self, newest: int, generation: str) -> int:
        with self._db.write() as conn:
            # Before the first record: a node with another view key must not take over what it cannot open.
            put_state(conn, "seal", self._secrets.seal.fingerprint)
        with self._reader() as reader:
            digests = {
                (kind, identifier): projection(reader, kind, identifier)
                for kind in PROJECTED
                for identifier in reader.ids(kind)
            }
            everything = Affected(
                set(reader.ids("service")), set(reader.ids("device")), set(reader.ids("pool"))
            )
            with self._db.read() as conn:
                owners = conn.scalars(sa.select(view_record.c.owner).distinct()).all()
            for owner in owners:
                kind, _colon, identifier = owner.partition(":")
                parts = {"service": everything.services, "pool": everything.pools}
                parts.get(kind, everything.devices).add(identifier)
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
                *(f"device:{one}" for one in sorted(touched.devices)),
                *(f"pool:{one}" for one in sorted(touched.pools)),
                *(f"service:{one}" for one in sorted(touched.services)),
            ]
        ):
            compiled = self._compiled(reader, owners)
            with self._db.write() as conn:
                changed += replace(conn, compiled)
        if self._kept > _TOLD:
            _log.error("kept at their last good records", owners=self._kept, told=_TOLD)
        faults.point(BEFORE_WRITE)
        with self._db.write() as conn:
            rows = [{"kind": kind, "id": one, "digest": digest} for (kind, one), digest in digests.items()]
            upsert(conn, view_projection, rows, key=["kind", "id"])
            put_state(conn, "index_seq", str(newest))
        faults.point(AFTER_WRITE)
        return changed

    def _compiled(self, reader: Reader, owners: list[str]) -> dict[str, list[ViewRecord]]:
        """The records of a chunk of owners, without those that keep what they have."""
        services = [one.removeprefix(_SERVICE) for one in owners if one.startswith(_SERVICE)]
        known = ahead(reader, services)
        compiled = {owner: self._compile(known, owner) for owner in owners}
        return {owner: records for owner, records in compiled.items() if records is not None}

    def _compile(self, reader: Reader, owner: str) -> list[ViewRecord] | None:
        """An owner's records; None keeps the last good ones, when a secret or a vendor is not usable."""
        kind, _colon, identifier = owner.partition(":")
        try:
            if kind == "service":
                return compile_service(reader, identifier, self._secrets)
            if kind == "pool":
                return compile_pool(reader, identifier)
            return compile_nas(reader, identifier, self._secrets)
        except Terminal as error:
            self._kept += 1
            if self._kept <= _TOLD:
                _log.error("kept at its last good record", owner=owner, error=str(error), vendors=names())
            return None


def _chunks(owners: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(owners), _CHUNK):
        yield owners[start : start + _CHUNK]
