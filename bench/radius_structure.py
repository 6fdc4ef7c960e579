"""Server CPU and time per RADIUS request with 100,000 subscribers: PAP logins and accounting, one worker."""

import os
import random
import secrets
import select
import socket
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from aaa.radius import packet as wire
from aaa.radius.credentials import hide
from aaa.radius.limits import Limits
from aaa.radius.packet import pair
from aaa.radius.server import RadiusServer
from aaa.vendors.policy import Policy, hash_of
from aaa.vendors.registry import reply_block
from aaa.view.base import write_base
from aaa.view.records import Access, Nas, Wanted, class_of, encode, login_key, nas_key, service_key
from aaa.view.seal import Seal
from core.db import Database
from core.migrate import upgrade
from core.settings import Settings

SUBSCRIBERS = 100_000
REQUESTS = 20_000
SECRET = b"bench-secret"
POLICY = Policy(down=500_000_000, up=50_000_000, pool4="cgn", pd="2001:db8::/56")


def main() -> None:
    """Print a table: what, requests, requests/s, CPU microseconds a request, PSS of the worker."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.load(
            Path(folder), env={}, radius_auth_port=0, radius_acct_port=0, radius_workers=1
        )
        _prepare(settings)
        with RadiusServer(settings, limits=Limits(reject_delay=0)) as server:
            _run(server.auth_port, _logins(1000))  # until it listens and is warm
            print(f"{'':<22}{'requests':>10}{'req/s':>10}{'µs CPU':>10}{'PSS MiB':>10}")
            for name, port, asked in (
                ("PAP login", server.auth_port, list(_logins(REQUESTS))),
                ("accounting start", server.acct_port, list(_starts(REQUESTS // 4))),
            ):
                before, begun = _cpu(server.pids[0]), time.perf_counter()
                answered = _run(port, iter(asked))
                spent, cpu = time.perf_counter() - begun, _cpu(server.pids[0]) - before
                each = cpu / answered * 1e6
                rate = answered / spent
                print(f"{name:<22}{answered:>10}{rate:>10.0f}{each:>10.1f}{_pss(server.pids[0]):>10.1f}")


def _prepare(settings: Settings) -> None:
    db = Database(settings.database_url)
    upgrade(db)
    db.close()
    seal, digest = Seal.of(settings.home), hash_of(POLICY)
    block = reply_block("mikrotik", POLICY)
    records = {
        nas_key("127.0.0.1"): encode(
            Nas("bng1", "mikrotik", (seal.close(SECRET, nas_key("127.0.0.1")),), True, False, 3799, 50, 600)
        )
    }
    for number in range(SUBSCRIBERS):
        service, key = f"S-{number}", login_key(f"s{number}@example.net")
        reply = (block + class_of(service, digest),)
        sealed = seal.close(b"pw-%d" % number, key)
        records[key] = encode(Access(service, digest, True, "ok", sealed, (), (), {"bng1": 0}, reply))
        records[service_key(service)] = encode(Wanted(digest, POLICY, (), 1, "replace"))
    write_base(settings.home / "radius" / "view" / "view.base", sorted(records.items()), 1, "bench")


def _logins(count: int) -> Iterator[bytes]:
    rng = random.Random(1)
    for index in range(count):
        number, authenticator = rng.randrange(SUBSCRIBERS), secrets.token_bytes(16)
        body = (
            pair(1, b"s%d@example.net" % number)
            + pair(2, hide(b"pw-%d" % number, SECRET, authenticator))
            + pair(4, bytes((127, 0, 0, 1)))
            + pair(5, struct.pack(">I", number))
            + pair(6, struct.pack(">I", 2))
            + pair(7, struct.pack(">I", 1))
            + pair(30, b"service")
            + pair(31, b"02:00:5e:10:00:01")
            + pair(32, b"bng1")
            + pair(44, b"%08x" % index)
            + pair(61, struct.pack(">I", 15))
            + pair(87, b"bond1")
        )
        yield wire.request(wire.ACCESS_REQUEST, index & 255, SECRET, body, authenticator)


def _starts(count: int) -> Iterator[bytes]:
    digest = hash_of(POLICY)
    for index in range(count):
        body = (
            pair(40, struct.pack(">I", 1)) + pair(44, b"%08x" % index) + pair(1, b"s%d@example.net" % index)
        )
        body += class_of(f"S-{index}", digest) + pair(8, struct.pack(">I", 0x64400000 + index))
        yield wire.request(wire.ACCOUNTING_REQUEST, index & 255, SECRET, body)


def _run(port: int, requests: Iterator[bytes], window: int = 64) -> int:
    """Keep `window` requests under way from one socket; returns how many were answered, each verified."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.connect(("127.0.0.1", port))
        waiting: dict[int, bytes] = {}
        answered, exhausted = 0, False
        while waiting or not exhausted:
            while len(waiting) < window and not exhausted:
                request = next(requests, None)
                exhausted = request is None
                if request is not None:
                    waiting[request[1]] = request
                    one.send(request)
            if waiting and not select.select([one], [], [], 2.0)[0]:
                for request in waiting.values():
                    one.send(request)
                continue
            if waiting:
                reply = wire.read(one.recv(4096))
                asked = waiting.pop(reply.identifier, None) if reply else None
                if (
                    reply is not None
                    and asked is not None
                    and wire.reply_is_right(reply, asked[4:20], SECRET)
                ):
                    answered += 1
        return answered


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _pss(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
