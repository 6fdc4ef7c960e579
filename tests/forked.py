"""Our own programs in a process of their own, without the second that their imports take: a process that has imported
everything forks one for each. What a start itself costs and needs, tests/cli/test_command.py asks.
"""

import functools
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from cli.registry import listed

_ROOT = Path(__file__).resolve().parent.parent
_MOST = 1 << 18
"""Octets of a request: the arguments and the environment of one program."""
_WHEN_THEY_RUN = (
    "cli.main",
    "_strptime", "aaa.eap.authority", "aaa.limits.overriding", "aaa.limits.vouchers", "aaa.register", "aaa.support",
    "aaa.who", "api.app", "billing.dunning", "billing.overview", "billing.payments", "billing.preview",
    "billing.register", "ci.compare", "ci.report", "cli.compared", "cli.installation", "cli.node.start", "cli.parked",
    "cli.radius.opening", "cli.traced", "core.migrate", "core.register", "crm.adoption", "crm.cessation",
    "crm.register", "drivers.virtual.driver", "intents.init", "intents.preview", "intents.register",
    "inventory.register", "reconciler.overview", "reconciler.planning", "reconciler.preview", "reconciler.register",
    "reconciler.tracing", "renderers.registry", "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite", "typer._adapters", "typer._click.decorators",
)  # fmt: skip


class Fork:
    """A program that runs beside us, see pidfd_open(2)."""

    def __init__(self, pid: int) -> None:
        self.pid, self._fd = pid, os.pidfd_open(pid)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return not select.select([self._fd], [], [], 0)[0]

    def end(self, patience: float) -> None:
        """Let it end by itself for so many seconds, or end it."""
        if not select.select([self._fd], [], [], patience)[0]:
            os.kill(self.pid, signal.SIGKILL)
        os.close(self._fd)


class Forks:
    """Runs programs; the process behind it ends with us, however we end."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fd = theirs.fileno()
        subprocess.Popen(
            [sys.executable, "-m", "tests.forked", str(fd)],
            cwd=_ROOT,
            pass_fds=[fd],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()

    def run(
        self,
        module: str,
        args: Sequence[str],
        env: Mapping[str, str],
        *,
        cwd: Path | None = None,
        text: str | None = None,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run a module's `main()` to its end with these arguments and all of this environment, as subprocess.run does.

        Raises TimeoutExpired, when the program is ended.
        """
        with (
            tempfile.TemporaryFile() as given,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
        ):
            given.write((text or "").encode())
            given.seek(0)
            files = [one.fileno() for one in (given, out, err)]
            pid = self._begin([module, list(args), str(cwd or Path.cwd()), dict(env), True], files)
            status = self._status([module, *args], pid, timeout)
            texts = []
            for one in (out, err):
                one.seek(0)
                texts.append(one.read().decode().replace("\r\n", "\n"))
        return subprocess.CompletedProcess([module, *args], status, *texts)

    def start(self, module: str, args: Sequence[str], env: Mapping[str, str], files: Sequence[int]) -> Fork:
        """Begin a module's `main()` with these files as its standard input, output and error."""
        return Fork(self._begin([module, list(args), str(_ROOT), dict(env), False], files))

    def _begin(self, request: list[object], files: Sequence[int]) -> int:
        socket.send_fds(self._socket, [json.dumps(request).encode()], files)
        self._socket.settimeout(None)
        return int(self._socket.recv(100))

    def _status(self, command: Sequence[str], pid: int, timeout: float) -> int:
        self._socket.settimeout(timeout)
        try:
            return int(self._socket.recv(100))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            self._socket.settimeout(None)
            self._socket.recv(100)
            raise subprocess.TimeoutExpired(command, timeout) from None


@functools.cache
def forks() -> Forks:
    """Those of this process, made when they are first asked for."""
    return Forks()


def _import_everything() -> None:
    """All commands, and most of what they import when they run."""
    for found in listed():
        importlib.import_module(f"cli.commands.{found.name.replace('-', '_')}")
    for name in _WHEN_THEY_RUN:
        importlib.import_module(name)


def _next(asked: socket.socket) -> str | None:
    """The next program's module, in its own process; None when nobody asks any more."""
    beside: list[int] = []
    while True:
        request, fds, _flags, _address = socket.recv_fds(asked, _MOST, 3)
        if not request:
            return None
        beside = [pid for pid in beside if os.waitpid(pid, os.WNOHANG)[0] == 0]
        module, args, cwd, env, is_awaited = json.loads(request)
        pid = os.fork()
        if pid == 0:
            asked.close()
            _become(fds, cwd, env)
            sys.argv = [module, *args]
            return str(module)
        for fd in fds:
            os.close(fd)
        asked.send(str(pid).encode())
        if is_awaited:
            asked.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())
        else:
            beside.append(pid)


def _become(fds: list[int], cwd: str, env: dict[str, str]) -> None:
    """Have the program's files, folder and environment."""
    for own, fd in enumerate(fds):
        os.dup2(fd, own)
        os.close(fd)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)


if __name__ == "__main__":
    _import_everything()
    gc.freeze()
    wanted = _next(socket.socket(fileno=int(sys.argv[1])))
    if wanted is not None:
        importlib.import_module(wanted).main()
