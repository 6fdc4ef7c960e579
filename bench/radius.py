"""RADIUS logins: ours beside FreeRADIUS 3.2 (files, SQL) on the same load; memory, following, and start of a node.

All servers run at once and are measured in turn, several rounds; the tables show medians. CPU is user and kernel time
of all threads and children (FreeRADIUS with SQL: PostgreSQL's too) from /proc/PID/stat, memory is PSS, times are the
load's own, which runs in its own process and is not counted.
"""

import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from aaa.radius.exchange import RadiusClient
from aaa.view.derived import open_derived
from aaa.view.models import view_position
from aaa.view.seal import Seal
from bench import radius_freeradius, radius_ours, radius_postgres
from bench.radius_cost import Cpu, cpu_of, pss_of
from bench.radius_load import Load, Seen, logins, measure, nas_address, nas_secret
from core import logs
from core.db import Database
from core.settings import Settings


def _number(name: str, default: int) -> int:
    return int(os.environ.get(f"TRUNKLINE_BENCH_{name}", default))


SUBSCRIBERS, USERS = _number("SUBSCRIBERS", 500_000), _number("USERS", 100_000)
REQUESTS, ROUNDS, WORKERS = _number("REQUESTS", 60_000), _number("ROUNDS", 3), _number("WORKERS", 2)
RATE = _number("RATE", 500)
RANDOM, CHANGES = _number("RANDOM", 100_000), _number("CHANGES", 5_000)


class Server(NamedTuple):
    """One of the compared: its name, its root processes, where it listens, and how many subscribers it knows."""

    name: str
    roots: tuple[int, ...]
    port: int
    subscribers: int

    def cpu(self) -> Cpu:
        """Spent since its start."""
        each = [cpu_of(root) for root in self.roots]
        return Cpu(sum(one.user for one in each), sum(one.kernel for one in each))


class Round(NamedTuple):
    """One server in one round: full speed, then at a modest rate."""

    spent: Cpu
    full: Seen
    paced: Seen


def main() -> None:
    """`TRUNKLINE_BENCH_{SUBSCRIBERS,USERS,REQUESTS,ROUNDS,WORKERS,RATE,RANDOM,CHANGES}` scale it; RANDOM=10000000 and
    CHANGES=100000 are the long run; ROUNDS=0 or RANDOM=0 leaves a table out.
    """
    logs.configure(level="ERROR")
    lacking = [what for what in (radius_freeradius.missing(), radius_postgres.missing()) if what]
    if lacking:
        print(f"missing, so only ours is measured: {'; '.join(lacking)}", flush=True)
    console = Console(file=sys.stdout, width=130)
    if ROUNDS:
        with _servers(with_peers=not lacking) as servers:
            console.print(_compared(servers, _rounds(servers)))
    if RANDOM:
        console.print(_alone())


def _rounds(servers: list[Server]) -> dict[str, list[Round]]:
    """Everybody warmed up, then everybody in turn, round by round."""
    for server in servers:
        measure(Load(port=server.port, requests=REQUESTS // 4, subscribers=server.subscribers, seed=99))
    rounds: dict[str, list[Round]] = {server.name: [] for server in servers}
    for number in range(ROUNDS):
        for server in servers:
            rounds[server.name].append(_round(server, 1 + number))
    return rounds


@contextmanager
def _servers(with_peers: bool) -> Iterator[list[Server]]:
    with ExitStack() as stack:
        found = []
        for name, signed in (("ours", True), ("ours, unsigned replies", False)):
            home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            settings = radius_ours.node(home, SUBSCRIBERS, workers=WORKERS)
            ours = stack.enter_context(radius_ours.running(settings, signed))
            found.append(Server(name, (ours.pid,), ours.auth_port, SUBSCRIBERS))
        if with_peers:
            found.append(_logging(stack))
            files = stack.enter_context(radius_freeradius.with_files(radius_ours.same_users(USERS)))
            found.append(Server("FreeRADIUS files", (files.pid,), files.auth_port, USERS))
            for name, accepts in (("FreeRADIUS + SQL", False), ("the same, accepts logged", True)):
                base = stack.enter_context(radius_postgres.postgres())
                users = radius_ours.same_users(USERS)
                sql = stack.enter_context(radius_freeradius.with_sql(users, base, accepts=accepts))
                found.append(Server(name, (sql.pid, base.pid), sql.auth_port, USERS))
        yield found


def _logging(stack: ExitStack) -> Server:
    """Ours with every accepted login written down as well, in a PostgreSQL of its own that is counted with it."""
    home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    base = stack.enter_context(radius_postgres.postgres())
    base.create("ours")
    settings = radius_ours.node(
        home, SUBSCRIBERS, workers=WORKERS, database_url=base.url("ours"), radius_log_logins=True
    )
    ours = stack.enter_context(radius_ours.running(settings))
    return Server("ours, accepts logged", (ours.pid, base.pid), ours.auth_port, SUBSCRIBERS)


def _round(server: Server, seed: int) -> Round:
    marks: list[Cpu] = []
    load = Load(port=server.port, requests=REQUESTS, subscribers=server.subscribers, seed=seed)
    full = measure(load, logins, lambda _begins: marks.append(server.cpu()))
    paced = Load(
        port=server.port, requests=RATE * 4, subscribers=server.subscribers, seed=-seed, rate=RATE, wrong=0
    )
    return Round(marks[1].since(marks[0]), full, measure(paced))


def _compared(servers: list[Server], rounds: dict[str, list[Round]]) -> Table:
    table = Table(
        title=f"{REQUESTS:,} PAP logins a round (1% wrong), {ROUNDS} rounds, medians; {SUBSCRIBERS:,} subscribers, "
        f"FreeRADIUS {USERS:,}; {WORKERS} workers"
    )
    for head in (
        "",
        "user µs",
        "kernel µs",
        "CPU µs",
        "logins/s",
        "p50 ms",
        "p99 ms",
        f"p50 at {RATE}/s",
        "p99",
        "PSS MiB",
        "wrong, again",
    ):
        table.add_column(head, justify="left" if not head else "right")
    for server in servers:
        each = rounds[server.name]
        user = statistics.median(one.spent.user for one in each) / REQUESTS * 1e6
        kernel = statistics.median(one.spent.kernel for one in each) / REQUESTS * 1e6
        total = statistics.median(sum(one.spent) for one in each) / REQUESTS * 1e6
        wrong = sum(one.full.wrong + one.paced.wrong for one in each)
        again = sum(one.full.resent + one.paced.resent for one in each)
        table.add_row(
            server.name, f"{user:.1f}", f"{kernel:.1f}", f"{total:.1f}",
            f"{statistics.median(one.full.answered / one.full.seconds for one in each):,.0f}",
            f"{statistics.median(one.full.median for one in each):.2f}",
            f"{statistics.median(one.full.percentile(0.99) for one in each):.2f}",
            f"{statistics.median(one.paced.median for one in each):.2f}",
            f"{statistics.median(one.paced.percentile(0.99) for one in each):.2f}",
            f"{sum(pss_of(root) for root in server.roots):.0f}", f"{wrong}, {again}",
        )  # fmt: skip
    return table


def _alone() -> Table:
    """One node of ours with four workers: its start, its memory under random requests and changes, how it follows."""
    table = Table("", "", title=f"a node of ours with 4 workers and {SUBSCRIBERS:,} subscribers")
    with tempfile.TemporaryDirectory() as folder:
        settings = radius_ours.node(Path(folder), SUBSCRIBERS, workers=4)
        size = (settings.home / "radius/view/view.base").stat().st_size / 2**20
        table.add_row("snapshot", f"{size:.0f} MiB")
        begun = time.perf_counter()
        with radius_ours.running(settings) as ours:
            first = _first_answer(ours)
            table.add_row("start to first answer", f"{time.perf_counter() - begun:.2f} s ({first})")
            table.add_row("PSS at start", _memory(ours.pid))
            time.sleep(3)
            before = cpu_of(ours.pid)
            time.sleep(5)
            idle = sum(cpu_of(ours.pid).since(before)) / 5 * 1000
            table.add_row("CPU when idle", f"{idle:.1f} ms a second, all workers")
            with closing(open_derived(settings)) as db:
                with _highest(ours.pid) as highest:
                    seen, seconds = _stirred(settings, db, ours)
                    _settled(settings)
                table.add_row(
                    f"{seen.answered:,} random logins, {CHANGES:,} changes",
                    f"{seconds:.0f} s, {seen.wrong} wrong, {seen.resent} sent again",
                )
                table.add_row(
                    "PSS then", f"{_memory(ours.pid)}; the highest meanwhile {max(highest):.0f} MiB"
                )
                table.add_row("one change to every worker", _followed(settings, db))
    return table


def _memory(root: int) -> str:
    return f"{pss_of(root, workers=True):.0f} MiB the workers, {pss_of(root):.0f} with what starts and watches them"


@contextmanager
def _highest(root: int) -> Iterator[list[float]]:
    """PSS every two seconds while the block runs: two bases are mapped for a moment when one replaces the other."""
    found, over = [0.0], threading.Event()

    def look() -> None:
        while not over.wait(2.0):
            found.append(pss_of(root))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield found
    finally:
        over.set()
        looking.join()


def _settled(settings: Settings) -> None:
    """Wait until nobody writes a next base, and every worker maps the one that is there."""
    folder = settings.home / "radius" / "view"
    calm = time.monotonic() + 6
    while time.monotonic() < calm:
        if any(path.name.endswith(".partial") or path.name == "view.next" for path in folder.iterdir()):
            calm = time.monotonic() + 6
        time.sleep(0.5)


def _first_answer(ours: radius_ours.Ours) -> str:
    client = RadiusClient(
        "127.0.0.1", ours.auth_port, ours.acct_port, nas_secret(0), nas_address(0), patience=0.2, attempts=300
    )
    reply = client.login("s7@example.net", "pw-7")
    client.close()
    return "accepted" if reply is not None and reply.accepted else "no answer"


def _stirred(settings: Settings, db: Database, ours: radius_ours.Ours) -> tuple[Seen, float]:
    """Random logins while subscribers change: every change another one, in transactions of a hundred."""
    seal = Seal.of(settings.home)

    def changing() -> None:
        for turn, start in enumerate(range(0, CHANGES, 100)):
            radius_ours.change(
                db, seal, (number % SUBSCRIBERS for number in range(start, min(start + 100, CHANGES))), turn
            )
            time.sleep(0.02)

    writer = threading.Thread(target=changing)
    begun = time.perf_counter()
    writer.start()
    load = Load(
        port=ours.auth_port, requests=RANDOM, subscribers=SUBSCRIBERS, wrong=0.001, seed=4, streamed=True
    )
    seen = measure(load)
    writer.join()
    _wait_for(db, radius_ours.change(db, seal, [0], 0))
    return seen, time.perf_counter() - begun


def _followed(settings: Settings, db: Database) -> str:
    seal, times = Seal.of(settings.home), []
    for turn in range(100):
        seq = radius_ours.change(db, seal, [turn], 500 + turn)
        begun = time.perf_counter()
        _wait_for(db, seq)
        times.append((time.perf_counter() - begun) * 1000)
        time.sleep(0.02)
    times.sort()
    return f"p50 {times[50]:.0f} ms, p95 {times[95]:.0f} ms, longest {times[-1]:.0f} ms (100 changes, acknowledged)"


def _wait_for(db: Database, seq: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with db.read() as conn:
            slowest, workers = conn.execute(
                sa.select(sa.func.min(view_position.c.seq), sa.func.count())
            ).one()
        if workers == 4 and slowest >= seq:
            return
        time.sleep(0.002)
    raise TimeoutError(f"not every worker reached {seq}")


if __name__ == "__main__":
    main()
