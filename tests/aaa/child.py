"""Starting and killing a node's server in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support import ROOT


class Child:
    """A server process. `ports` after start; `end()` closes it in order, `wait_killed()` for a fault point."""

    def __init__(self, home: Path, auth: int = 0, acct: int = 0, workers: int = 0, fault: str = "") -> None:
        env = {**os.environ, "TRUNKLINE_TEST_MODE": "1", "PYTHONPATH": str(ROOT)}
        env.pop("TRUNKLINE_FAULT", None)
        if fault:
            env["TRUNKLINE_FAULT"] = fault
        self._log = (home / "server.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.aaa.served", str(home), str(auth), str(acct), str(workers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=env,
            cwd=ROOT,
            text=True,
        )
        self.ports: dict[str, Any] = {}
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith('{"auth"'):
                self.ports = json.loads(line)
                break

    @property
    def auth_port(self) -> int:
        """Its authentication port."""
        return int(self.ports["auth"])

    @property
    def acct_port(self) -> int:
        """Its accounting port."""
        return int(self.ports["acct"])

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def end(self) -> None:
        """Stop it in order (or bury it)."""
        if self.process.stdin:
            self.process.stdin.close()
        try:
            self.process.wait(timeout=30)
        finally:
            self.process.kill()
            if self.process.stdout:
                self.process.stdout.close()
            self._log.close()
