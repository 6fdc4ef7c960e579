"""Starting and killing a node's server in a process of its own."""

import json
import os
from pathlib import Path
from typing import Any

from tests.forked import forks


class Child:
    """A server process. `ports` after start; `end()` closes it in order; a fault point may kill it."""

    def __init__(self, home: Path, auth: int = 0, acct: int = 0, workers: int = 0, fault: str = "") -> None:
        env = {**os.environ, "TRUNKLINE_TEST_MODE": "1"}
        env.pop("TRUNKLINE_FAULT", None)
        if fault:
            env["TRUNKLINE_FAULT"] = fault
        theirs, ours = os.pipe()
        self._stdin = os.fdopen(ours, "wb")
        said, says = os.pipe()
        arguments = [str(home), str(auth), str(acct), str(workers)]
        with (home / "server.log").open("ab") as log, os.fdopen(theirs), os.fdopen(says):
            self._process = forks().start("tests.aaa.served", arguments, env, [theirs, says, log.fileno()])
        self.ports: dict[str, Any] = {}
        self._stdout = os.fdopen(said)  # it may say more
        for line in self._stdout:
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
        return self._process.alive

    def end(self) -> None:
        """Stop it in order (or bury it)."""
        self._stdin.close()
        self._process.end(30)
        self._stdout.close()
