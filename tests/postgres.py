"""A real PostgreSQL for tests: Debian's programs, started by hand, on a Unix socket of our own."""

import ctypes
import functools
import itertools
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support import eventually, need, run

_ACCOUNT = "postgres"
_MEMORY, _ROOM = Path("/dev/shm"), 3 << 30
"""A database is copied for every test: in memory that takes a tenth of the time, where there is room for it."""


def _place() -> Path:
    try:
        if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _ROOM:
            return _MEMORY
    except OSError:
        pass
    return Path("/tmp")


_PREFIX = str(_place() / "trunkline-pg-")
_PR_SET_PDEATHSIG = 1  # prctl(2)


class Cluster:
    """A running server; `fresh_database()` copies a migrated template in about 20 ms."""

    def __init__(self, socket_dir: Path, programs: Path) -> None:
        self.socket_dir = socket_dir
        self._programs = programs
        self._numbers = itertools.count(1)
        self._template = False

    def url(self, name: str) -> str:
        """SQLAlchemy URL of a database of this cluster."""
        return f"postgresql+psycopg://{_ACCOUNT}@/{name}?host={self.socket_dir}"

    @contextmanager
    def fresh_database(self) -> Iterator[str]:
        """A migrated database of its own, dropped at the end even if somebody is still connected."""
        self._make_template()
        name = f"t{next(self._numbers)}"
        # As files: through the log, as is its default, all octets of the template would be written twice.
        self._kept.execute(f"CREATE DATABASE {name} TEMPLATE migrated STRATEGY FILE_COPY")
        try:
            yield self.url(name)
        finally:
            self._kept.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @functools.cached_property
    def _kept(self) -> psycopg.Connection:
        """A connection that stays: a psql for every statement would cost more than the statement."""
        return psycopg.connect(host=str(self.socket_dir), user=_ACCOUNT, dbname="postgres", autocommit=True)

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run one statement with psql and return its answer."""
        psql = [f"{self._programs}/psql", "-h", str(self.socket_dir), "-U", _ACCOUNT, "-d", database]
        return run([*psql, "-qtAX", "-c", statement]).stdout.strip()

    def _make_template(self) -> None:
        if self._template:
            return
        from core.db import Database
        from core.migrate import upgrade

        self.sql("CREATE DATABASE migrated")
        opened = Database(self.url("migrated"))
        upgrade(opened)
        opened.close()
        self._template = True


@contextmanager
def start_cluster(factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Make and start a cluster that need not survive a crash (fsync off), and stop it by its own pid."""
    programs = Path(need(_newest("postgres"), apt="postgresql")).parent
    _clear_left_overs()
    # Socket paths are limited to about 107 bytes: pytest's own folders are too deep on some machines.
    base = Path(f"{_PREFIX}{os.getpid()}")
    base.mkdir(mode=0o755)
    _give_away(base)
    log = factory.mktemp("postgres") / "log"
    server: subprocess.Popen[bytes] | None = None
    try:
        _initialise(programs, base)
        server = _start(programs, base, log)
        cluster = Cluster(base, programs)
        eventually(lambda: _ready(programs, base), cap=30, says=lambda: log.read_text())
        yield cluster
    finally:
        if server is not None:
            server.send_signal(signal.SIGINT)  # fast shutdown: sessions are ended
            server.wait(timeout=30)
        shutil.rmtree(base, ignore_errors=True)


def _clear_left_overs() -> None:
    """Folders of test runs that were killed; their servers ended with them."""
    for folder in Path(_PREFIX).parent.glob(f"{Path(_PREFIX).name}*"):
        if not Path(f"/proc/{folder.name.rpartition('-')[2]}").exists() or folder.name.endswith(
            f"-{os.getpid()}"
        ):
            shutil.rmtree(folder, ignore_errors=True)


def _end_with_parent() -> None:
    """In the child: the kernel sends SIGINT (fast shutdown) when the test run dies, even by SIGKILL."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def _newest(program: str) -> str:
    """Debian keeps the server's programs out of PATH, a folder a version."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), key=lambda path: int(path.parts[4]))
    return str(found[-1]) if found else program


def _unprivileged() -> dict[str, Any]:
    """PostgreSQL refuses root: then it runs as Debian's account, or as nobody."""
    if os.geteuid() != 0:
        return {}
    account = _account()
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(_ACCOUNT)
    except KeyError:
        return pwd.getpwnam("nobody")


def _give_away(path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(path, _account().pw_uid, _account().pw_gid)


def _initialise(programs: Path, base: Path) -> None:
    command = [f"{programs}/initdb", "-D", f"{base}/cluster", "-U", _ACCOUNT, "-A", "trust", "-E", "UTF8"]
    command += ["--locale=C.UTF-8", "--no-sync", "--no-instructions"]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, **_unprivileged())
    assert done.returncode == 0, done.stdout + done.stderr


def _start(programs: Path, base: Path, log: Path, **more: str) -> subprocess.Popen[bytes]:
    settings = (
        {
            "listen_addresses": "",
            "unix_socket_directories": str(base),
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "autovacuum": "off",
            "shared_buffers": "64MB",
            "dynamic_shared_memory_type": "mmap",  # in its folder: a server that is killed leaves nothing in /dev/shm
            "max_connections": "60",
        }
        | more
    )
    flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    command = [f"{programs}/postgres", "-D", f"{base}/cluster", *flags]
    with log.open("wb") as out:
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out}
        return subprocess.Popen(command, cwd="/", preexec_fn=_end_with_parent, **streams, **_unprivileged())


def _ready(programs: Path, base: Path) -> bool:
    return run([f"{programs}/pg_isready", "-q", "-h", str(base), "-U", _ACCOUNT], check=False).returncode == 0
