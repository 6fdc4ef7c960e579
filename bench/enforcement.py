"""From a hold's commit to the NAS's ACK, step by step; 5,000 holds in one commit over 20 NASes, with loss and NAKs."""

import contextlib
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from aaa.enforcement import wanted
from aaa.models import enforcement, session
from aaa.view.models import newest, view_change, view_position
from aaa.view.records import service_key
from cli.installation import Installation
from cli.serving import Serving
from core import clock, crypto, logs
from core.settings import Settings
from intents import queue
from intents.index.models import index_change
from intents.init import init_repository
from intents.kinds import path_of
from intents.models import change_set
from reconciler.models import receipt, session_work
from tests.fleet import Fleet, Login, Playing, Redial
from tests.intents import build

SECRET, PASSWORD = "bench-nas-secret", "bench-password"
PORT, RATE = 3799, 50
CONFIG = b"""\
schema: 1
operator: {name: Example ISP, asn: 64500, timezone: Australia/Perth, currency: AUD}
aaa: {servers: [{address: 127.0.0.1}], realms: {example.net: {}}}
identities:
  billing: {key: "ssh-ed25519 AAAA", paths: [holds/], reasons: [nonpayment]}
guards: {restrict: {count: 1000000, percent: 100}, deletes: {count: 1000000}}
"""


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How big it is; every field can be given as TRUNKLINE_BENCH_<FIELD>."""

    services: int = 500_000
    sessions: int = 50_000
    holds: int = 5_000
    singles: int = 200
    nases: int = 20
    processes: int = 2
    workers: int = 1
    loss: float = 0.02
    nak: float = 0.01


class Seen(msgspec.Struct, frozen=True):
    """The mass run: (seconds after the commit, services in the view, settled), what receipts and the fleet say."""

    settled: list[tuple[float, int, int]]
    seconds: float
    datagrams: Counter[str]
    attempts: Counter[str]
    last: Counter[str]
    fleet: Counter[str]
    redials: Counter[str]


def main() -> None:
    """Print both tables; TRUNKLINE_BENCH_SERVICES=2000 and the like make it small."""
    logs.configure(level="ERROR")
    size = size_from_environment()
    console = Console(file=sys.stdout, width=110)
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), size) as bench:
        console.print(bench.singles(size.singles))
        console.print(*bench.told(bench.mass(size.holds)))


def size_from_environment() -> Size:
    """The default, with what the environment says."""
    given = {
        name: os.environ[key]
        for name in Size.__struct_fields__
        if (key := f"TRUNKLINE_BENCH_{name.upper()}") in os.environ
    }
    return msgspec.convert(given, Size, strict=False)


@contextlib.contextmanager
def running(home: Path, size: Size, port: int = PORT) -> Iterator["Bench"]:
    """Build the network, index it, serve it, and have its subscribers dial in."""
    settings = Settings.load(
        home, {}, radius_auth_port=0, radius_acct_port=0, radius_workers=size.workers,
        roles=("committer", "indexer", "radius", "worker", "reconciler"),
    )  # fmt: skip
    key = crypto.create_key(settings.key_file, settings.identity_file)
    _say(f"building {size.services:,} services")
    init_repository(settings, network(size, key, port), "builder")
    one = Installation(settings)
    _say("indexing")
    one.indexer.run_once()
    _say("compiling the view")
    one.view_builder.run_once()
    with Serving(one), contextlib.ExitStack() as fleets:
        playing = [fleets.enter_context(Playing(one_fleet)) for one_fleet in _fleets(one, size, port)]
        bench = Bench(one, playing, size)
        bench.dial_in()
        yield bench
    one.close()


class Bench:
    """A running installation and its fleet."""

    def __init__(self, one: Installation, playing: list[Playing], size: Size) -> None:
        self.one, self.playing, self.size = one, playing, size

    def dial_in(self) -> None:
        """Real logins and Accounting-Starts, until all are acknowledged."""
        size, groups = self.size, len(self.playing)
        _say(f"{size.sessions:,} subscribers dial in")
        for group, one in enumerate(self.playing):
            mine = [n for n in range(size.sessions) if n % size.nases % groups == group]
            one.login([Login(n % size.nases // groups, f"s{n}@example.net", PASSWORD) for n in mine])
        started = 0
        while started < size.sessions:
            time.sleep(0.2)
            counts = sum((Counter(one.report().counts) for one in self.playing), Counter[str]())
            started += counts["start acknowledged"]
            if counts["refused"]:
                raise RuntimeError(f"{counts['refused']} logins were refused: {counts}")
        _say(f"{started:,} sessions are there")

    def singles(self, count: int) -> Table:
        """One hold after another; the milliseconds of every step since the commit landed on trunk."""
        names = ("submitted -> trunk", "trunk -> index", "index -> view", "view -> workers",
                 "workers -> ACK in a receipt", "trunk -> ACK")  # fmt: skip
        first = self.size.sessions - count
        rows = [self._single(first + number) for number in range(count)]
        table = Table(
            "step",
            "p50 ms",
            "p95 ms",
            "p99 ms",
            title=f"one hold, {count} times, {self.size.services:,} services",
        )
        for name, times in zip(names, zip(*rows, strict=True), strict=True):
            table.add_row(name, *(f"{_quantile(times, share) * 1000:.0f}" for share in (0.5, 0.95, 0.99)))
        return table

    def _single(self, number: int) -> tuple[float, ...]:
        service = f"S-{number}"
        at = [time.perf_counter()]
        set_id = self._hold([number])
        for step in (
            lambda: self._landed(set_id),
            lambda: self._indexed(f"{service}.nonpayment"),
            lambda: self._viewed(service),
            lambda: self._acknowledged(service),
            lambda: self._corrected(service),
        ):
            _wait(step)
            at.append(time.perf_counter())
        return (*(after - before for before, after in itertools.pairwise(at)), at[-1] - at[1])

    def mass(self, count: int) -> Seen:
        """Holds for `count` services in one commit; returns when all are settled and everybody has dialled again."""
        _say(f"{count:,} holds in one commit")
        self._fleet()
        for one in self.playing:
            one.faults(self.size.loss, self.size.nak)
        with self.one.index_db.read() as conn:
            seen = newest(conn)
        sent = self.one.reconciler.sessions.counted
        with self.one.db.read() as conn:
            after = conn.scalar(sa.select(sa.func.max(enforcement.c.seq))) or 0
        set_id = self._hold(list(range(count)))
        _wait(lambda: self._landed(set_id), cap=120)
        begun, commit = time.perf_counter(), self._commit(set_id)
        settled = [(0.0, 0, 0)]
        while settled[-1][2] < count and settled[-1][0] < 120:
            time.sleep(0.25)
            settled.append((time.perf_counter() - begun, self._in_view(seen), self._settled(commit)))
        seconds = settled[-1][0]
        counts, redials = self._quiet()
        datagrams = self.one.reconciler.sessions.counted
        datagrams.subtract(sent)
        return Seen(
            settled,
            seconds,
            datagrams,
            self._attempts(after),
            self._last(commit),
            counts,
            self._landed_on(redials, count),
        )

    def told(self, seen: Seen) -> list[Table]:
        """The mass run as tables."""
        title = f"{self.size.holds:,} holds in one commit, {self.size.nases} NASes of {RATE}/s"
        over_time = Table("seconds after the commit", "in the view", "settled", title=title)
        for second in range(1, int(seen.seconds) + 2):
            until = [one for one in seen.settled if one[0] <= second][-1]
            over_time.add_row(str(second), f"{until[1]:,}", f"{until[2]:,}")
        words = Table("what", "count", title=f"all settled after {seen.seconds:.1f} s")
        for what, counted in (
            ("datagrams", seen.datagrams),
            ("outcomes of requests", seen.attempts), ("last outcome in receipts", seen.last),
            ("seen by the NASes", seen.fleet), ("redials", seen.redials),
        ):  # fmt: skip
            for word, number in sorted(counted.items()):
                words.add_row(f"{what}: {word}", f"{number:,}")
        return [over_time, words]

    def _hold(self, numbers: list[int]) -> str:
        changes = [queue.Change(path=build.hold_path(n), content=build.hold_file()) for n in numbers]
        with self.one.db.write() as conn:
            return queue.submit(conn, actor="billing", reason="nonpayment", changes=changes)

    def _landed(self, set_id: str) -> bool:
        with self.one.db.read() as conn:
            state = conn.scalar(sa.select(change_set.c.state).where(change_set.c.set_id == set_id))
        if state in ("parked", "rejected", "conflicted"):
            raise RuntimeError(f"the change set is {state}")
        return state == "landed"

    def _commit(self, set_id: str) -> str:
        with self.one.db.read() as conn:
            commit = conn.scalar(sa.select(change_set.c.commit_id).where(change_set.c.set_id == set_id))
        return str(commit)

    def _indexed(self, hold: str) -> bool:
        where = sa.and_(index_change.c.kind == "hold", index_change.c.id == hold)
        with self.one.index_db.read() as conn:
            return conn.execute(sa.select(index_change.c.seq).where(where)).first() is not None

    def _viewed(self, service: str) -> bool:
        return self._view_seq(service) > 0 and self._held(service)

    def _held(self, service: str) -> bool:
        record = wanted(self.one.index_db, [service]).get(service)
        return record is not None and bool(record.holds)

    def _view_seq(self, service: str) -> int:
        chosen = sa.select(sa.func.max(view_change.c.seq)).where(view_change.c.key == service_key(service))
        with self.one.index_db.read() as conn:
            return int(conn.scalar(chosen) or 0)

    def _acknowledged(self, service: str) -> bool:
        seq = self._view_seq(service)
        with self.one.index_db.read() as conn:
            first = conn.scalar(sa.select(sa.func.min(view_position.c.seq)))
        return first is not None and first >= seq

    def _corrected(self, service: str) -> bool:
        where = sa.and_(receipt.c.target == service, receipt.c.step == "policy", receipt.c.outcome == "acked")
        with self.one.db.read() as conn:
            return conn.execute(sa.select(receipt.c.seq).where(where)).first() is not None

    def _in_view(self, after: int) -> int:
        of = sa.and_(view_change.c.seq > after, view_change.c.key >= b"s:", view_change.c.key < b"s;")
        with self.one.index_db.read() as conn:
            return int(conn.scalar(sa.select(sa.func.count()).where(of)) or 0)

    def _settled(self, commit: str) -> int:
        of = sa.and_(receipt.c.commit_id == commit, receipt.c.step == "policy", receipt.c.outcome == "acked")
        with self.one.db.read() as conn:
            return int(conn.scalar(sa.select(sa.func.count()).where(of)) or 0)

    def _attempts(self, after: int) -> Counter[str]:
        with self.one.db.read() as conn:
            rows = conn.execute(
                sa.select(enforcement.c.outcome, enforcement.c.code).where(enforcement.c.seq > after)
            )
            return Counter(f"{outcome}({code})" if outcome == "nak" else outcome for outcome, code in rows)

    def _last(self, commit: str) -> Counter[str]:
        of = sa.and_(receipt.c.commit_id == commit, receipt.c.step.startswith("session "))
        with self.one.db.read() as conn:
            return Counter(conn.scalars(sa.select(receipt.c.outcome).where(of)))

    def _fleet(self) -> tuple[Counter[str], list[Redial], bool]:
        reports = [one.report() for one in self.playing]
        counts = sum((Counter(one.counts) for one in reports), Counter[str]())
        return (
            counts,
            [redial for one in reports for redial in one.redials],
            all(one.quiet for one in reports),
        )

    def _quiet(self) -> tuple[Counter[str], list[Redial]]:
        """Until every subscriber who was disconnected is back, and nothing waits to be corrected."""
        counts, redials = Counter[str](), list[Redial]()
        deadline = clock.monotonic() + 60
        while clock.monotonic() < deadline:
            more, dialled, quiet = self._fleet()
            counts, redials = counts + more, redials + dialled
            if quiet and not self._stale():
                break
            time.sleep(0.25)
        return counts, redials

    def _stale(self) -> int:
        with self.one.db.read() as conn:
            marked = conn.scalar(
                sa.select(sa.func.count()).where(session.c.stale.is_(True), session.c.state == "open")
            )
            waiting = conn.scalar(sa.select(sa.func.count()).select_from(session_work))
        return int(marked or 0) + int(waiting or 0)

    def _landed_on(self, redials: list[Redial], count: int) -> Counter[str]:
        """Where they landed: on the policy of the hold, or on the one before it (must be none)."""
        known = wanted(self.one.index_db, [f"S-{number}" for number in range(count)])
        return Counter(
            "on the new policy"
            if redial.policy_hash == known[redial.service].policy_hash
            else "on the old policy"
            for redial in redials
        )


def network(size: Size, key: crypto.DataKey, port: int) -> dict[str, bytes]:
    """An edge, a BNG and an OLT for every NAS; services are dealt out one by one."""
    files = {"trunkline.yaml": CONFIG} | {
        path: text
        for path, text in build.network(1).items()
        if path.startswith(("network/sites/", "catalog/"))
    }
    for number in range(size.nases):
        files |= _area(number, -(-size.services // size.nases // build.PER_PON) + 1, key, port)
    for number in range(size.services):
        area, place = number % size.nases, number // size.nases
        line, service = path_of("line", f"L-{number}"), path_of("service", f"S-{number}")
        files[line] = (
            f"type: gpon\nstate: active\nolt: olt{area}\npon: 0/1/{place // build.PER_PON}\n"
            f"onu: {place % build.PER_PON}\nserial: HWTC{number:08X}\nmodel: hg8245\n"
        ).encode()
        sealed = crypto.seal(key, PASSWORD, service, "session.password")
        files[service] = (
            f"customer: C-{number}\ntype: internet\nstate: active\nplan: fibre\nline: L-{number}\n"
            f'session: {{method: pppoe, login: s{number}@example.net, password: "{sealed}"}}\n'
            "ipv4: {mode: cgnat}\n"
        ).encode()
    return files


def _area(number: int, pons: int, key: crypto.DataKey, port: int) -> dict[str, bytes]:
    bng, edge, net = path_of("device", f"bng{number}"), f"edge{number}", f"100.{64 + number}"
    secret = crypto.seal(key, SECRET, bng, "nas.secrets")
    listed = "".join(f"    0/1/{pon}: {{tech: gpon, split: 64, svlan: 101}}\n" for pon in range(pons))
    return {
        path: text.encode()
        for path, text in {
            bng: (
                "site: perth1\nrole: bng\nplatform: virtual\nstate: active\nmanage: observe\n"
                f"management: {{address: 127.0.2.{number + 1}}}\ninterfaces: {{bond1: {{description: access}}}}\n"
                f'nas: {{vendor: mikrotik, sources: [127.0.1.{number + 1}], secrets: ["{secret}"], '
                f"coa: {{port: {port}, rate: {RATE}}}}}\n"
            ),
            path_of("edge", edge): (
                f"bngs: [{{device: bng{number}, port: bond1}}]\nmethods: [pppoe]\nsvlans: [100-199]\n"
                f"pools: {{cgnat: cgn{number}, garden: garden{number}}}\n"
            ),
            path_of("pool", f"cgn{number}"): (
                f"family: ipv4\nuse: cgnat\nallocate: nas\nsplit: {{bng{number}: [{net}.0.0/17]}}\n"
            ),
            path_of("pool", f"garden{number}"): (
                f"family: ipv4\nuse: garden\nallocate: nas\nsplit: {{bng{number}: [{net}.128.0/17]}}\n"
            ),
            path_of("device", f"olt{number}"): (
                "site: perth1\nrole: olt\nplatform: virtual\nstate: active\nmanage: observe\n"
                f"management: {{address: 127.0.3.{number + 1}}}\nolt:\n  edge: {edge}\n  uplink: 0/9/0\n"
                f"  profiles: {{prefix: TL-}}\n  pons:\n{listed}"
            ),
        }.items()
    }


def _fleets(one: Installation, size: Size, port: int) -> Iterator[Fleet]:
    groups = min(size.processes, size.nases)
    for group in range(groups):
        yield Fleet(
            nases=tuple((f"127.0.1.{n + 1}", port) for n in range(size.nases) if n % groups == group),
            secret=SECRET.encode(), auth_port=one.radius.auth_port, acct_port=one.radius.acct_port,
            rate=RATE, seed=group,
        )  # fmt: skip


def _wait(predicate: Callable[[], bool], cap: float = 30) -> None:
    deadline = clock.monotonic() + cap
    while not predicate():
        if clock.monotonic() > deadline:
            raise TimeoutError(f"nothing happened for {cap:.0f} s")
        time.sleep(0.002)


def _quantile(times: tuple[float, ...], share: float) -> float:
    ordered = sorted(times)
    return (
        statistics.median(ordered)
        if share == 0.5
        else ordered[min(len(ordered) - 1, int(len(ordered) * share))]
    )


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
