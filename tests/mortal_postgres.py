"""A PostgreSQL of one test's own, that may be killed and started again; what it committed survives that."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import postgres
from tests.support import eventually, need


class MortalCluster(postgres.Cluster):
    """`kill()` is SIGKILL of the server and its backends; `start()` brings it back."""

    def __init__(self, socket_dir: Path, programs: Path, log: Path) -> None:
        super().__init__(socket_dir, programs)
        self._log = log
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, or start again after a crash: it replays its log first."""
        (self.socket_dir / ".s.PGSQL.5432.lock").unlink(missing_ok=True)
        # What it says it has committed has to be there after a kill, as with its own defaults.
        durable = {"synchronous_commit": "on", "full_page_writes": "on"}
        self._server = postgres._start(self._programs, self.socket_dir, self._log, **durable)
        eventually(lambda: postgres._ready(self._programs, self.socket_dir), cap=30, says=self._log.read_text)

    def kill(self) -> None:
        """All at once, as a machine's end does; its backends notice their parent's end by themselves."""
        assert self._server is not None
        backends = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children").read_text().split()
        self._server.send_signal(signal.SIGKILL)
        for pid in backends:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._server.wait(timeout=30)

    def end(self) -> None:
        """Fast shutdown."""
        if self._server is not None and self._server.poll() is None:
            self._server.send_signal(signal.SIGINT)
            self._server.wait(timeout=30)


@contextmanager
def mortal_cluster(tmp_path: Path) -> Iterator[MortalCluster]:
    """A running cluster in a short-named folder, ended and removed at the end."""
    programs = Path(need(postgres._newest("postgres"), apt="postgresql")).parent
    base = Path(f"/tmp/trunkline-mortal-{os.getpid()}")
    shutil.rmtree(base, ignore_errors=True)
    base.mkdir(mode=0o755)
    postgres._give_away(base)
    cluster = MortalCluster(base, programs, tmp_path / "postgres.log")
    try:
        postgres._initialise(programs, base)
        cluster.start()
        yield cluster
    finally:
        cluster.end()
        shutil.rmtree(base, ignore_errors=True)
