"""CPU of ours and waiting of a login that another server answers: a realm's FreeRADIUS behind us, on loopback."""

import secrets
import selectors
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from aaa.radius import packet as wire
from aaa.radius.credentials import hide
from aaa.radius.limits import Limits
from aaa.radius.packet import pair
from aaa.radius.server import RadiusServer
from aaa.view.base import write_base
from aaa.view.records import Nas, Realm, encode, nas_key, realm_key
from aaa.view.seal import Seal
from bench.radius_cost import cpu_of
from bench.radius_freeradius import missing, with_files
from core.db import Database
from core.migrate import upgrade
from core.settings import Settings

REQUESTS = 4000
WINDOWS = (1, 32)
SECRET, HOME_SECRET = b"bench-secret", b"home-secret"
_CLIENT = """
client here {
    ipaddr = 127.0.0.1
    secret = home-secret
}
"""


def main() -> None:
    """Print a table: requests under way at once, logins/s, our CPU and the home server's, waiting p50 and p99."""
    if lacking := missing(with_sql=False):
        print(f"{lacking} is missing")
        return
    with (
        tempfile.TemporaryDirectory() as text,
        with_files([("DEFAULT", "tea", [("Reply-Message", "hello")])], also=_CLIENT) as home,
    ):
        settings = Settings.load(Path(text), env={}, radius_auth_port=0, radius_acct_port=0, radius_workers=1)
        _prepare(settings, home.auth_port)
        with RadiusServer(settings, limits=Limits(reject_delay=0)) as server:
            _run(server.auth_port, 200, 1, SECRET)  # until it listens and is warm
            print(
                f"{'':<24}{'logins':>8}{'/s':>8}{'µs CPU, ours':>14}{'theirs':>10}{'p50 ms':>9}{'p99 ms':>9}"
            )
            for window in WINDOWS:
                for name, port, secret in (
                    ("asked directly", home.auth_port, HOME_SECRET),
                    ("through us", server.auth_port, SECRET),
                ):
                    _measure(f"{name}, {window} at once", (port, secret), window, (server.pids[0], home.pid))


def _measure(name: str, target: tuple[int, bytes], window: int, pids: tuple[int, int]) -> None:
    before, begun = [sum(cpu_of(pid)) for pid in pids], time.perf_counter()
    took = sorted(_run(target[0], REQUESTS, window, target[1]))
    spent = time.perf_counter() - begun
    ours, theirs = ((sum(cpu_of(pid)) - was) / len(took) * 1e6 for pid, was in zip(pids, before, strict=True))
    p50, p99 = (took[int(len(took) * share)] * 1000 for share in (0.5, 0.99))
    print(
        f"{name:<24}{len(took):>8}{len(took) / spent:>8.0f}{ours:>14.0f}{theirs:>10.0f}{p50:>9.2f}{p99:>9.2f}"
    )


def _prepare(settings: Settings, port: int) -> None:
    db = Database(settings.database_url)
    upgrade(db)
    db.close()
    seal, nas, realm = Seal.of(settings.home), nas_key("127.0.0.1"), realm_key("guest.example")
    records = {
        nas: encode(Nas("bng1", "mikrotik", (seal.close(SECRET, nas),), True, False, 3799, 50, 600)),
        realm: encode(Realm((("127.0.0.1", port, port + 1, "udp"),), seal.close(HOME_SECRET, realm))),
    }
    write_base(settings.home / "radius" / "view" / "view.base", sorted(records.items()), 1, "bench")


def _logins(count: int, secret: bytes) -> Iterator[bytes]:
    for index in range(count):
        authenticator = secrets.token_bytes(16)
        body = pair(1, b"u%d@guest.example" % index) + pair(2, hide(b"tea", secret, authenticator))
        yield wire.request(wire.ACCESS_REQUEST, index & 255, secret, body + pair(32, b"bng1"), authenticator)


def _run(port: int, count: int, window: int, secret: bytes) -> list[float]:
    """Seconds that each verified reply took, with `window` requests under way; a lost one is sent again after 2 s."""
    took: list[float] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, selectors.DefaultSelector() as ready:
        one.connect(("127.0.0.1", port))
        ready.register(one, selectors.EVENT_READ)
        waiting: dict[int, tuple[bytes, float]] = {}
        requests = _logins(count, secret)
        while len(took) < count:
            while len(waiting) < window and (request := next(requests, None)) is not None:
                waiting[request[1]] = request, time.perf_counter()
                one.send(request)
            if not ready.select(2.0):
                for request, _begun in waiting.values():
                    one.send(request)
                continue
            reply = wire.read(one.recv(4096))
            asked = waiting.get(reply.identifier) if reply else None
            if reply and asked and wire.reply_is_right(reply, asked[0][4:20], secret):
                took.append(time.perf_counter() - waiting.pop(reply.identifier)[1])
    return took


if __name__ == "__main__":
    main()
