"""From nothing to an index, and one hold from its change set to the acknowledgement of every RADIUS worker."""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from aaa.view.models import view_change, view_position
from aaa.view.records import service_key
from cli.installation import Installation
from cli.serving import Serving
from core import clock, logs
from core.settings import Settings
from intents import queue
from intents.models import change_set
from tests.intents import build

SIZES = (10_000, 100_000)
CHANGES = 200


def main() -> None:
    """Print both tables; `TRUNKLINE_BENCH_SIZES=10000` narrows the sizes."""
    logs.configure(level="ERROR")
    sizes = [int(size) for size in os.environ.get("TRUNKLINE_BENCH_SIZES", "").split(",") if size] or SIZES
    cold = Table(
        "services", "index s", "AAA view s", "index MB", "RSS MB", title="cold: from a repository to answers"
    )
    warm = Table("services", "to trunk ms", "", "to every worker ms", "", title=f"one hold, {CHANGES} times")
    warm.columns[1].header, warm.columns[2].header = "trunk p50", "trunk p95"
    warm.columns[3].header, warm.columns[4].header = "worker p50", "worker p95"
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            one_size(Path(folder), size, cold, warm)
    Console(file=sys.stdout, width=100).print(cold, warm)


def one_size(home: Path, services: int, cold: Table, warm: Table) -> None:
    """Measure one size and add its rows."""
    settings = Settings.load(
        home, {}, radius_auth_port=0, radius_acct_port=0, roles=("committer", "indexer", "radius", "worker")
    )
    build.make_sealed(settings, services)
    one = Installation(settings)
    index, view = _timed(one.indexer.run_once), _timed(one.view_builder.run_once)
    size = (home / "index.db").stat().st_size / 1e6
    cold.add_row(f"{services:,}", f"{index:.1f}", f"{view:.1f}", f"{size:.0f}", f"{_rss():.0f}")
    with Serving(one):
        times = [_one_hold(one, number) for number in range(CHANGES)]
    one.close()
    landed, acked = [sorted(ms) for ms in zip(*times, strict=True)]
    warm.add_row(f"{services:,}", *_shown(landed), *_shown(acked))


def _one_hold(one: Installation, number: int) -> tuple[float, float]:
    """Milliseconds from the change set's transaction to trunk, and to the last worker."""
    begun = time.perf_counter()
    with one.db.write() as conn:
        set_id = queue.submit(
            conn, actor="billing", reason="nonpayment",
            changes=[queue.Change(path=build.hold_path(number), content=build.hold_file())],
        )  # fmt: skip
    _wait(lambda: _landed(one, set_id))
    landed = time.perf_counter()
    _wait(lambda: _acknowledged(one, service_key(f"S-{number}")))
    return (landed - begun) * 1000, (time.perf_counter() - begun) * 1000


def _landed(one: Installation, set_id: str) -> bool:
    with one.db.read() as conn:
        return (
            conn.execute(sa.select(change_set.c.state).where(change_set.c.set_id == set_id)).scalar()
            == "landed"
        )


def _acknowledged(one: Installation, key: bytes) -> bool:
    with one.index_db.read() as conn:
        seq = conn.execute(sa.select(sa.func.max(view_change.c.seq)).where(view_change.c.key == key)).scalar()
        first = conn.execute(sa.select(sa.func.min(view_position.c.seq))).scalar()
    return seq is not None and first is not None and first >= seq


def _wait(predicate: Callable[[], bool]) -> None:
    deadline = clock.monotonic() + 30
    while not predicate():
        if clock.monotonic() > deadline:
            raise TimeoutError("nothing happened for 30 s")
        time.sleep(0.001)


def _timed(step: Callable[[], object]) -> float:
    begun = time.perf_counter()
    step()
    return time.perf_counter() - begun


def _rss() -> float:
    fields = Path("/proc/self/status").read_text().split("VmRSS:")[1].split()
    return int(fields[0]) / 1000


def _shown(ordered: list[float]) -> tuple[str, str]:
    return f"{statistics.median(ordered):.0f}", f"{ordered[int(len(ordered) * 0.95)]:.0f}"


if __name__ == "__main__":
    main()
