"""Debian's PostgreSQL for a measurement: on a Unix socket, with its safe defaults (fsync, synchronous commits)."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_ACCOUNT = "postgres"


class Postgres:
    """A running server."""

    def __init__(self, programs: Path, folder: Path, pid: int) -> None:
        self.programs, self.folder, self.pid = programs, folder, pid

    def url(self, name: str) -> str:
        """SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://{_ACCOUNT}@/{name}?host={self.folder}"

    def conninfo(self, name: str) -> str:
        """The same for libpq."""
        return f"host={self.folder} dbname={name} user={_ACCOUNT}"

    def psql(self, name: str, statements: str = "", file: Path | None = None) -> str:
        """Run statements, or a file of them."""
        given = ["-f", str(file)] if file else ["-c", statements]
        command = [f"{self.programs}/psql", "-h", str(self.folder), "-U", _ACCOUNT, "-d", name]
        done = subprocess.run(
            [*command, "-v", "ON_ERROR_STOP=1", "-qtAX", *given], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def create(self, name: str) -> None:
        """A new, empty database."""
        self.psql("postgres", f"CREATE DATABASE {name}")


def missing() -> str:
    """What there is to install; "" when it is there."""
    return "" if _programs() else "postgresql (apt-get install postgresql)"


@contextmanager
def postgres(**given: str) -> Iterator[Postgres]:
    """A new cluster; `given` are settings beyond PostgreSQL's defaults. Stopped by its own pid, and deleted."""
    programs = _programs()
    if programs is None:
        raise FileNotFoundError(missing())
    folder = Path(tempfile.mkdtemp(prefix="tl-bench-pg-"))
    server: subprocess.Popen[bytes] | None = None
    try:
        as_owner = _owner(folder)
        init = [f"{programs}/initdb", "-D", f"{folder}/cluster", "-U", _ACCOUNT, "-A", "trust", "-E", "UTF8"]
        subprocess.run(
            [*init, "--locale=C.UTF-8", "--no-instructions"],
            check=True, cwd="/", stdout=subprocess.DEVNULL, **as_owner,
        )  # fmt: skip
        settings = {"listen_addresses": "", "unix_socket_directories": str(folder), "max_connections": "100"}
        flags = [part for key, value in {**settings, **given}.items() for part in ("-c", f"{key}={value}")]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [f"{programs}/postgres", "-D", f"{folder}/cluster", *flags],
                cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, **as_owner,
            )  # fmt: skip
        made = Postgres(programs, folder, server.pid)
        _wait(made, server)
        yield made
    finally:
        if server is not None:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(made: Postgres, server: subprocess.Popen[bytes]) -> None:
    for _attempt in range(300):
        ready = [f"{made.programs}/pg_isready", "-q", "-h", str(made.folder)]
        if server.poll() is None and subprocess.run(ready, check=False).returncode == 0:
            return
        time.sleep(0.1)
    raise TimeoutError(f"PostgreSQL did not start: {(made.folder / 'log').read_text()[-2000:]}")


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


def _owner(folder: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam(_ACCOUNT)
    folder.chmod(0o755)
    os.chown(folder, account.pw_uid, account.pw_gid)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
