"""What tests of every room share: waiting without sleeping blindly, real parts, ports, and commands.

`eventually(lambda: seq() >= 7, cap=5)` · `need("vtysh", apt="frr")` · `free_port()` · `run(["git", "gc"])`
"""

import contextlib
import functools
import itertools
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from tests.forked import forks

ROOT = Path(__file__).resolve().parent.parent
"""The work tree."""

# Daemons live in sbin and in folders of their own; a test's PATH may name neither.
_PLACES = ("/usr/sbin", "/sbin", "/usr/lib/frr", "/usr/bin", "/bin")
# Below what Linux gives out by itself (ip_local_port_range), shared out among the workers of a run.
_KEPT, _WORKERS = range(20_000, 32_000), 4
_T = TypeVar("_T")


def examples(few: int) -> int:
    """How many examples a slow property tries: `few`, or so many times more as EXAMPLES in the environment says."""
    return max(1, round(few * float(os.environ.get("EXAMPLES", "1"))))


def eventually(
    predicate: Callable[[], _T], cap: float, *, every: float = 0.02, says: Callable[[], object] | None = None
) -> _T:
    """Ask until `predicate()` is true and return its answer; fail after `cap` seconds.

    An AssertionError inside the predicate means "not yet". `says()` gives what a failure prints, say a log.
    """
    deadline = time.monotonic() + cap
    while True:
        complaint: object = None
        try:
            answer = predicate()
        except AssertionError as error:
            answer, complaint = None, error
        if answer:
            return answer
        if time.monotonic() >= deadline:
            told = "" if says is None else f"\n{says()}"
            pytest.fail(f"not within {cap:g} s: {complaint or f'last answer {answer!r}'}{told}", pytrace=True)
        time.sleep(every)


def need(binary: str, *, apt: str = "", root: bool = False) -> str:
    """Absolute path of a real part; without it the test is skipped, or fails under TRUNKLINE_REQUIRE_REAL=1.

    `root=True` also asks for root. `binary` may be a name or an absolute path.
    """
    if root and os.geteuid() != 0:
        _lacking("root is needed: run as root")
    found = find_binary(binary)
    if found is None:
        _lacking(f"{binary} is missing" + (f": apt-get install {apt}" if apt else ""))
    return str(found)


def find_binary(binary: str) -> str | None:
    """Where a program is, looking also where daemons live; None when it is nowhere."""
    return shutil.which(binary) or shutil.which(binary, path=os.pathsep.join(_PLACES))


def _lacking(why: str) -> None:
    if os.environ.get("TRUNKLINE_REQUIRE_REAL") == "1":
        pytest.fail(f"{why} (TRUNKLINE_REQUIRE_REAL=1)", pytrace=False)
    pytest.skip(why)


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM, host: str = "127.0.0.1") -> int:
    """A port that is free now; for servers that cannot bind port 0 and tell."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def kept_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of loopback that is free now and that no connection is given by itself later: for who stops listening and
    comes back. A process is given each once before it is given one again: five devices ask before one listens.
    """
    for port in itertools.islice(_kept_ports(os.getpid()), 1000):
        with socket.socket(socket.AF_INET, kind) as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError(f"1000 ports below {_KEPT.stop} are in use")


@functools.cache
def _kept_ports(_process: int) -> Iterator[int]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    mine = list(range(_KEPT.start + worker, _KEPT.stop, _WORKERS))
    random.SystemRandom().shuffle(mine)
    return itertools.cycle(mine)


def run(
    args: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
    text: str | None = None,
    timeout: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end with `env` added to ours; `text` is its input.

    Fails the test with both outputs when `check` and the status is not 0.
    """
    done = subprocess.run(
        [str(arg) for arg in args],
        cwd=cwd,
        env=dict(os.environ) | dict(env or {}),
        input=text,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if check and done.returncode != 0:
        pytest.fail(f"{args} ended with {done.returncode}\n{done.stdout}{done.stderr}", pytrace=True)
    return done


def trunkline(
    *args: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = False,
    text: str | None = None,
    timeout: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run our own command in a process of its own, forked where everything is imported; the exit status is the answer.

    `typed` is the same with a start of its own, as an operator's shell starts it.
    """
    given = [str(arg) for arg in args]
    whole = {**os.environ, **(env or {})}
    done = forks().run("cli.main", given, whole, cwd=cwd, text=text, timeout=timeout)
    if check and done.returncode != 0:
        pytest.fail(f"{done.args} ended with {done.returncode}\n{done.stdout}{done.stderr}", pytrace=True)
    return done


def typed(
    *args: str | Path, env: Mapping[str, str] | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Start our own command anew, as an operator's shell does; the exit status is the answer."""
    return run([sys.executable, "-m", "cli.main", *args], env=env, check=False, timeout=timeout)
