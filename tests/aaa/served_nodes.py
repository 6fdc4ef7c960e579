"""RADIUS nodes as an operator runs them: `trunkline serve --roles radius`, each in a home of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from aaa.radius.exchange import RadiusClient
from cli.node.bundle import Bundle, unpack
from tests.aaa.network import SECRET
from tests.support import ROOT, eventually, free_port


class ServedNode:
    """One node: joined from a bundle, started, killed, started again; `client` asks it as bng1."""

    def __init__(self, home: Path, name: str, bundle: Bundle, workers: int = 1) -> None:
        self.home, self.name, self.workers = home, name, workers
        unpack(bundle, home, name)
        self.auth, self.acct = free_port(), free_port()
        self.client: Any = RadiusClient("127.0.0.1", self.auth, self.acct, SECRET, patience=0.5, attempts=3)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start; returns when it answers."""
        self.launch()
        self.wait()

    def wait(self) -> None:
        """Until it answers."""
        eventually(self.answers, cap=120, says=self.log)

    def launch(self) -> None:
        """Start without waiting."""
        env = {
            **os.environ,
            "TRUNKLINE_RADIUS_AUTH_PORT": str(self.auth),
            "TRUNKLINE_RADIUS_ACCT_PORT": str(self.acct),
            "TRUNKLINE_RADIUS_WORKERS": str(self.workers),
        }
        command = [sys.executable, "-m", "cli.main", "--home", str(self.home), "serve", "--roles", "radius"]
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)

    def answers(self) -> bool:
        """Whether it answers Status-Server."""
        return self.client.status() is not None

    def log(self) -> str:
        """What it said."""
        return (self.home / "log").read_text()[-4000:]

    def waiting(self) -> int:
        """Accounting segments that wait for the database."""
        return len(list((self.home / "radius" / "journal").glob("*.journal")))

    def kill(self) -> None:
        """SIGKILL of the node and its workers, no goodbye."""
        assert self._process is not None
        family = [self._process.pid, *children(self._process.pid)]
        for pid in family:
            os.kill(pid, signal.SIGKILL)
        self._process.wait(timeout=30)
        eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), cap=10)

    def end(self) -> None:
        """In order."""
        self.client.close()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=60)


def children(pid: int) -> list[int]:
    """The processes that this one started."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
