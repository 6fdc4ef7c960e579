"""From a payment's commit to the NAS's ACK that the session is free, step by step, at 100,000 services.

The embedded default: SQLite, one RADIUS worker. A dunning run holds those who pay, as one change set; then they pay one
after the other. `TRUNKLINE_BENCH_SERVICES`, `_SESSIONS`, `_SINGLES` and the like as for `enforcement`.
"""

import itertools
import os
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import msgspec
import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from aaa.enforcement import wanted
from bench.enforcement import Bench, Size, _quantile, _say, _wait, running
from billing import accounts, billrun, dunning, payments, subscriptions
from billing.timeline import Terms
from core import logs
from core.money import Money
from intents.index.models import index_change
from intents.index.reader import open_reader

BEGUN, LATE = date(2026, 1, 1), date(2026, 3, 1)
DUE = Money(7900, "AUD")
STEPS = ("payment -> committed", "committed -> trunk", "trunk -> index", "index -> view", "view -> workers",
         "workers -> ACK in a receipt", "committed -> free", "trunk -> free")  # fmt: skip


def main() -> None:
    """Print the table."""
    logs.configure(level="ERROR")
    size = _size()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), size) as bench:
        table = Payers(bench).pay_all(size.singles)
    console = Console(file=sys.stdout, width=110)
    console.print(table)
    console.print(f"load before {load:.1f}, after {os.getloadavg()[0]:.1f}")


def _size() -> Size:
    given = {
        name: os.environ[key]
        for name in Size.__struct_fields__
        if (key := f"TRUNKLINE_BENCH_{name.upper()}") in os.environ
    }
    return msgspec.convert({"services": 100_000, "sessions": 10_000, **given}, Size, strict=False)


class Payers:
    """Subscribers who owe January and February, are held, and pay."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.one = bench, bench.one

    def pay_all(self, count: int) -> Table:
        """Bill, hold, pay; the milliseconds of every step."""
        owing = [f"S-{number}" for number in range(count)]
        whose = self._bill(owing)
        _say(f"a dunning run holds {count}")
        with open_reader(self.one.index_db) as reader:
            held = dunning.run_dunning(self.one.db, reader, LATE)
        if len(held.held) != count:
            raise RuntimeError(f"{len(held.held)} held, not {count}")
        commit = held.hold_set
        _wait(lambda: self.bench._landed(str(commit)), cap=60)
        _wait(lambda: self.bench._settled(self.bench._commit(str(commit))) >= count, cap=120)
        self.bench._quiet()
        _say(f"{count} pay, one after the other")
        rows = [self._pay(whose[service], service) for service in owing]
        size = self.bench.size
        table = Table(
            "step",
            "p50 ms",
            "p95 ms",
            "p99 ms",
            title=f"one payment, {count} times, {size.services:,} services",
        )
        for name, times in zip(STEPS, zip(*rows, strict=True), strict=True):
            table.add_row(name, *(f"{_quantile(times, share) * 1000:.0f}" for share in (0.5, 0.95, 0.99)))
        return table

    def _bill(self, services: list[str]) -> dict[str, str]:
        """Accounts that owe two months; service -> account."""
        whose: dict[str, str] = {}
        terms = Terms("fibre", "2025b", DUE)
        with self.one.db.write() as conn:
            for service in services:
                whose[service] = accounts.open_account(
                    conn, service.replace("S-", "C-"), currency="AUD", timezone="Australia/Perth"
                )
                subscriptions.activate(conn, whose[service], service, terms, BEGUN, "bench")
        with open_reader(self.one.index_db) as reader:
            run = billrun.run_billing(self.one.db, reader, BEGUN)
        if len(run.final) != len(services):
            raise RuntimeError(f"{len(run.final)} invoices, not {len(services)}: {run.parked}")
        return whose

    def _pay(self, account: str, service: str) -> tuple[float, ...]:
        before = self._newest_index()
        at = [time.perf_counter()]
        with self.one.db.write() as conn:
            paid = payments.pay(conn, account, DUE, "bank", f"bench:{account}", on=LATE)
        at.append(time.perf_counter())
        (set_id,) = paid.set_ids
        for step in (
            lambda: self.bench._landed(set_id),
            lambda: self._indexed(f"{service}.nonpayment", before),
            lambda: self._is_free_in_view(service),
            lambda: self.bench._acknowledged(service),
            lambda: self.bench._settled(self.bench._commit(set_id)) > 0,
        ):
            _wait(step)
            at.append(time.perf_counter())
        steps = (after - one for one, after in itertools.pairwise(at))
        return (*steps, at[-1] - at[1], at[-1] - at[2])

    def _newest_index(self) -> int:
        with self.one.index_db.read() as conn:
            return int(conn.scalar(sa.select(sa.func.max(index_change.c.seq))) or 0)

    def _indexed(self, hold: str, after: int) -> bool:
        where = sa.and_(index_change.c.seq > after, index_change.c.kind == "hold", index_change.c.id == hold)
        with self.one.index_db.read() as conn:
            return conn.execute(sa.select(index_change.c.seq).where(where)).first() is not None

    def _is_free_in_view(self, service: str) -> bool:
        record = wanted(self.one.index_db, [service]).get(service)
        return record is not None and not record.holds
