"""A view over intents and recorded limits, for tests: both databases, the builder, and the keeper between them."""

from typing import Any

import sqlalchemy as sa

from aaa.limits.keeper import LimitKeeper
from aaa.limits.limit import Limits
from aaa.limits.store import limit_of
from aaa.models import service_limit
from aaa.vendors.registry import text_of
from aaa.view import limits as copy_of_limits
from aaa.view.builder import ViewBuilder
from aaa.view.lookup import View
from aaa.view.models import newest, view_record
from aaa.view.records import Access, Wanted, decode, login_key, service_key
from aaa.view.seal import Seal
from core import clock
from core.db import Database, insert_many
from intents.index import layout
from intents.index.models import index_change, index_state
from tests.aaa.network import Network, open_secret, reading

SEAL = Seal(bytes(range(64)))


class Limited:
    """Recorded state beside a derived database; `settle()` is what the loops of `serve` do."""

    def __init__(self, recorded: Database, derived: Database, network: Network, seal: Seal = SEAL) -> None:
        self.recorded, self.derived, self.network, self.seal = recorded, derived, network, seal
        layout.prepare(derived)
        with derived.write() as conn:
            conn.execute(sa.update(index_state).values(commit_id="c"))
        self.builder = self.anew()
        self.keeper = LimitKeeper(recorded, lambda: reading(network), "node1")
        self.settle()

    def anew(self) -> ViewBuilder:
        """Another builder over the same databases."""
        return ViewBuilder(self.derived, lambda: reading(self.network), open_secret, self.seal, self.recorded)

    def settle(self, *changed: tuple[str, str]) -> int:
        """Tell of changed documents, then keep and build until nothing is left; how many records changed."""
        rows = [
            {"commit_id": "c", "path": "-", "kind": kind, "id": one, "op": "put", "changed_at": clock.now()}
            for kind, one in changed
        ]
        with self.derived.write() as conn:
            insert_many(conn, index_change, rows)
        self.keeper._due.clear()
        while self.keeper.run_once():
            pass
        total = 0
        while done := self.builder.run_once():
            total += done
        return total

    def limits(self) -> Limits:
        """What is recorded now."""
        with self.recorded.read() as conn:
            return copy_of_limits.limits_of(map(limit_of, conn.execute(sa.select(service_limit)).all()))

    def rows(self) -> list[tuple[bytes, str, bytes]]:
        with self.derived.read() as conn:
            return sorted((bytes(k), o, bytes(r)) for k, o, r in conn.execute(sa.select(view_record)))

    def cold(self) -> list[tuple[bytes, str, bytes]]:
        return [(one.key, one.owner, one.record) for one in self.network.records(self.seal, self.limits())]

    def changes(self) -> int:
        with self.derived.read() as conn:
            return newest(conn)

    def record(self, key: bytes, kind: Any) -> Any:
        view = View(None)
        view.follow(self.derived)
        return decode(view.lookup(key), kind)

    def access(self, login: str = "s1@example.net") -> Access:
        found: Access = self.record(login_key(login), Access)
        return found

    def wanted(self, service: str = "S-1") -> Wanted:
        found: Wanted = self.record(service_key(service), Wanted)
        return found

    def rate(self, login: str = "s1@example.net") -> str:
        """`up/down` of the MikroTik's reply."""
        told = text_of(self.access(login).blocks[self.access(login).nas["bng1"]])
        return next((line.split(" = ")[1] for line in told if line.startswith("Mikrotik-Rate-Limit")), "")
