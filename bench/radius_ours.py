"""Our RADIUS server for a measurement: a node that starts from a snapshot with many subscribers and NASes."""

import multiprocessing
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from socket import socket
from typing import IO

import sqlalchemy as sa

from aaa.radius import packet
from aaa.radius.limits import Limits
from aaa.radius.server import RadiusServer
from aaa.radius.worker import serve_worker
from aaa.vendors.policy import Policy, hash_of
from aaa.vendors.registry import reply_block, text_of
from aaa.view.base import write_base
from aaa.view.derived import open_derived
from aaa.view.models import ensure, newest, put_state, view_change, view_record
from aaa.view.records import Access, Nas, Wanted, class_of, encode, login_key, nas_key, service_key
from aaa.view.seal import KEY_LENGTH, Seal
from bench.radius_load import NASES, nas_address, nas_secret
from core.db import Database
from core.migrate import upgrade
from core.settings import Settings

POLICY = Policy(down=500_000_000, up=50_000_000, pool4="cgn", pd="2001:db8::/56", interim=600)
VENDOR = "mikrotik"
GENERATION = "bench"
DEVICE = "bng1"
"""All sources belong to one device, so that a subscriber may log in from any of them."""


class Ours:
    """A running node: its root process, its ports."""

    def __init__(self, pid: int, auth_port: int, acct_port: int) -> None:
        self.pid, self.auth_port, self.acct_port = pid, auth_port, acct_port


def node(home: Path, subscribers: int, workers: int = 1, nases: int = NASES, **given: object) -> Settings:
    """A node's folder with its snapshot and a migrated database."""
    settings = Settings.load(
        home,
        env={},
        radius_host="127.0.0.1",
        radius_auth_port=0,
        radius_acct_port=0,
        radius_workers=workers,
        **given,
    )
    with closing(Database(settings.database_url)) as db:
        upgrade(db)
    with closing(open_derived(settings)) as db:
        ensure(db)
        with db.write() as conn:
            put_state(conn, "generation", GENERATION)
            put_state(conn, "index_seq", "1")
            conn.execute(sa.insert(view_change).values(key=b"u:first"))
    (home / "view.key").write_bytes(secrets.token_bytes(KEY_LENGTH))
    (home / "view.key").chmod(0o600)
    write_base(
        home / "radius" / "view" / "view.base",
        sorted(records(Seal.of(home), subscribers, nases)),
        1,
        GENERATION,
    )
    return settings


def records(seal: Seal, subscribers: int, nases: int = NASES) -> Iterator[tuple[bytes, bytes]]:
    """(key, record) of NASes and subscribers."""
    for number in range(nases):
        key = nas_key(nas_address(number))
        secret = seal.close(nas_secret(number), key)
        yield key, encode(Nas(DEVICE, VENDOR, (secret,), True, False, 3799, 50, 600))
    block, digest = reply_block(VENDOR, POLICY), hash_of(POLICY)
    wanted = encode(Wanted(digest, POLICY, (), 1, "replace"))
    for number in range(subscribers):
        yield from subscriber(seal, number, block, digest)
        yield service_key(f"S-{number}"), wanted


def subscriber(seal: Seal, number: int, block: bytes, digest: str) -> Iterator[tuple[bytes, bytes]]:
    """The login record of one subscriber."""
    service, key = f"S-{number}", login_key(f"s{number}@example.net")
    sealed = seal.close(b"pw-%d" % number, key)
    reply = (block + class_of(service, digest),)
    yield key, encode(Access(service, digest, True, "ok", sealed, (), (), {DEVICE: 0}, reply))


def same_users(count: int) -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
    """The same subscribers in FreeRADIUS's words: (login, password, reply attributes)."""
    block, digest = reply_block(VENDOR, POLICY), hash_of(POLICY)
    for number in range(count):
        told = text_of(block + class_of(f"S-{number}", digest))
        pairs = [line.partition(" = ")[::2] for line in told]
        yield f"s{number}@example.net", f"pw-{number}", pairs


def change(db: Database, seal: Seal, numbers: Iterable[int], turn: int) -> int:
    """Change these subscribers' speed, as the view's builder would write it; returns the newest sequence."""
    policy = Policy(
        down=(100 + turn) * 1_000_000, up=50_000_000, pool4="cgn", pd="2001:db8::/56", interim=600
    )
    block, digest = reply_block(VENDOR, policy), hash_of(policy)
    rows = [pair for number in numbers for pair in subscriber(seal, number, block, digest)]
    with db.write() as conn:
        conn.execute(
            sa.delete(view_record).where(view_record.c.key == sa.bindparam("old")),
            [{"old": key} for key, _ in rows],
        )
        conn.execute(
            sa.insert(view_record),
            [{"key": key, "owner": "service:S", "record": record} for key, record in rows],
        )
        conn.execute(sa.insert(view_change), [{"key": key} for key, _record in rows])
        return newest(conn)


def serve_unsigned(
    settings: Settings,
    index: int,
    sockets: tuple[socket, socket],
    limits: Limits | None = None,
    stream: socket | None = None,
    server: int = 0,
) -> None:
    """A worker whose replies have no Message-Authenticator. No setting makes a server do this."""
    signed = packet.sealed

    def bare(
        code: int, identifier: int, asked: bytes, secret: bytes, body: bytes, _sign: bool = True
    ) -> bytes:
        return signed(code, identifier, asked, secret, body, sign=False)

    packet.sealed = bare  # type: ignore[assignment]
    serve_worker(settings, index, sockets, limits, stream, server)


class Unsigned(RadiusServer):
    """Replies without Message-Authenticator, as Debian's FreeRADIUS sends them: to compare, and nothing else."""

    _body = staticmethod(serve_unsigned)


@contextmanager
def running(settings: Settings, signed: bool = True) -> Iterator[Ours]:
    """The node's server, as production runs it: `trunkline serve --roles radius`. `signed=False`: replies without
    Message-Authenticator, to compare.
    """
    with _by_command(settings) if signed else _unsigned(settings) as ours:
        yield ours


@contextmanager
def _by_command(settings: Settings) -> Iterator[Ours]:
    told = (
        "database_url", "node", "radius_host", "radius_auth_port", "radius_acct_port", "radius_workers",
        "radius_log_logins",
    )  # fmt: skip
    given = {f"TRUNKLINE_{name.upper()}": str(getattr(settings, name)) for name in told}
    command = [sys.executable, "-c", "from cli.main import main; main()"]
    with tempfile.TemporaryFile("w+") as said, subprocess.Popen(
        [*command, "serve", "--roles", "radius", "--home", str(settings.home)],
        env={**os.environ, **given}, stdout=said, text=True,
    ) as process:  # fmt: skip
        try:
            yield Ours(process.pid, *_ports(process, said))
        finally:
            process.terminate()


def _ports(process: "subprocess.Popen[str]", said: IO[str]) -> tuple[int, int]:
    for _attempt in range(6000):
        said.seek(0)
        found = re.search(r"ports (\d+) and (\d+)\n", said.read())
        if found is not None:
            return int(found[1]), int(found[2])
        if process.poll() is not None:
            break
        time.sleep(0.01)
    raise RuntimeError("our server did not start")


@contextmanager
def _unsigned(settings: Settings) -> Iterator[Ours]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(settings, theirs))
    process.start()
    try:
        if not ours.poll(120):
            raise TimeoutError("our server did not start")
        auth, acct = ours.recv()
        yield Ours(process.pid or 0, auth, acct)
    finally:
        ours.send("stop")
        process.join(timeout=60)
        process.kill()


def _serve(settings: Settings, parent: Connection) -> None:
    with Unsigned(settings, limits=Limits()) as server:
        parent.send((server.auth_port, server.acct_port))
        parent.recv()
