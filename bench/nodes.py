"""Two RADIUS nodes over one PostgreSQL: from the view to the last worker; and what it costs to give an address."""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from aaa.view.derived import open_derived
from aaa.view.models import newest, view_position
from cli.node.bundle import Bundle
from core import logs
from core.db import Database
from core.migrate import upgrade
from core.settings import Settings
from tests.aaa.farm import POOL, Farm
from tests.aaa.network import Network
from tests.aaa.served_nodes import ServedNode
from tests.aaa.test_view import Built
from tests.mortal_postgres import mortal_cluster

CHANGES, WORKERS, SUBSCRIBERS, LOGINS = 200, 2, 200, 20_000


def main() -> None:
    """Print both tables; `TRUNKLINE_BENCH_CHANGES=50` narrows the first."""
    logs.configure(level="ERROR")
    changes = int(os.environ.get("TRUNKLINE_BENCH_CHANGES", CHANGES))
    lag = Table(
        "workers",
        "changes",
        "p50 ms",
        "p95 ms",
        "worst ms",
        title="a change of the view -> every worker of two nodes",
    )
    cost = Table("what", "microseconds", title=f"an address from a leased block, {LOGINS:,} logins")
    with tempfile.TemporaryDirectory() as folder:
        times = sorted(_lags(Path(folder), changes))
        lag.add_row(
            str(2 * WORKERS), str(changes), f"{statistics.median(times):.0f}",
            f"{times[int(len(times) * 0.95)]:.0f}", f"{times[-1]:.0f}",
        )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for name, micro in _costs(Path(folder)):
            cost.add_row(name, f"{micro:.1f}")
    Console(file=sys.stdout, width=100).print(lag, cost)


def _lags(folder: Path, changes: int) -> list[float]:
    """Milliseconds from the commit of the view's change to the last acknowledgement."""
    with mortal_cluster(folder) as cluster:
        cluster.sql("CREATE DATABASE isp")
        url = cluster.url("isp")
        recorded = Database(url)
        upgrade(recorded)
        recorded.close()
        network = Network()
        for number in range(1, SUBSCRIBERS + 1):
            network.subscriber(number)
        settings = Settings.load(folder / "control", env={}, database_url=url, index_url=url)
        built = Built(open_derived(settings), network)
        bundle = Bundle(1, bytes(range(64)), url, url)
        nodes = [ServedNode(folder / name, name, bundle, workers=WORKERS) for name in ("n1", "n2")]
        try:
            for node in nodes:
                node.launch()
            for node in nodes:
                node.wait()
            _until(built, 2 * WORKERS)
            return [_one(built, number) for number in range(changes)]
        finally:
            for node in nodes:
                node.end()
            built.db.close()


def _one(built: Built, number: int) -> float:
    service = f"S-{number % SUBSCRIBERS + 1}"
    if number // SUBSCRIBERS % 2:
        built.network.drop("hold", f"{service}.admin")
    else:
        built.network.hold(service, "admin", "walled-garden")
    built.changed(("hold", f"{service}.admin"))  # from memory: what the index costs is in `bench loop`
    begun = time.perf_counter()
    _until(built, 2 * WORKERS)
    return (time.perf_counter() - begun) * 1000


def _until(built: Built, workers: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with built.db.read() as conn:
            wanted = newest(conn)
            there = conn.scalar(sa.select(sa.func.count()).where(view_position.c.seq >= wanted))
        if there == workers:
            return
        time.sleep(0.002)
    raise TimeoutError("a worker did not follow for 30 s")


def _costs(folder: Path) -> list[tuple[str, float]]:
    """Microseconds a login: a new address, with its part of the syncs; and the same one again."""
    import msgspec

    db = Database(f"sqlite:///{folder / 'trunkline.db'}")
    upgrade(db)
    farm = Farm(
        db,
        folder / "farm",
        nodes=1,
        workers=1,
        pool=msgspec.structs.replace(POOL, prefixes=("100.64.0.0/15",)),
    )
    worker = farm.workers[0]
    while worker.giver is None or worker.giver.shelves.get("west") is None or not _enough(farm):
        _lease(farm)
    giver, found = worker.giver, []
    for what in ("new address", "the same again"):
        begun = time.process_time()
        for number in range(LOGINS):
            assert giver.give(("west",), f"S-{number}", b"bng1 here", "mikrotik")
        found.append((f"CPU, {what}", (time.process_time() - begun) / LOGINS * 1e6))
    farm.close()
    db.close()
    return found


def _enough(farm: Farm) -> bool:
    giver = farm.workers[0].giver
    return giver is not None and giver.shelves["west"].free >= LOGINS


def _lease(farm: Farm) -> None:
    """More blocks than the keeper would take ahead of need."""
    from datetime import UTC, datetime

    from aaa.pools import blocks

    keeping, giver = farm.workers[0].keeping, farm.workers[0].giver
    assert keeping is not None
    assert giver is not None
    record = giver.record("west")
    assert record is not None
    with farm.db.write() as conn:
        leases = blocks.lease(
            conn, "west", record, keeping._owner, 100, datetime.fromtimestamp(farm.now(), UTC)
        )
    keeping._take(leases)


if __name__ == "__main__":
    main()
