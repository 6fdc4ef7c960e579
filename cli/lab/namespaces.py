"""Network namespaces of our own: `tl<pid>-<name>`, made, entered, and removed with whatever runs in them.

The pid in the name says whose they are: those of a dead pid are left-overs (of a kill -9) and go at the next start.
Root only. Nothing here touches the host's own network.
"""

import ctypes
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from core.errors import Terminal

RUN = Path("/run/netns")
_NAME = re.compile(r"tl(\d+)-(.+)")
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class LabFailed(Terminal):
    """A part of the lab did not come up."""

    def __init__(self, what: str, answer: str) -> None:
        super().__init__(f"the lab could not {what}: {answer.strip() or 'no answer'}")


def full_name(name: str) -> str:
    """The namespace of `name` that belongs to this process."""
    return f"tl{os.getpid()}-{name}"


def run(arguments: list[str], stdin: str | None = None, cap: float = 60.0) -> str:
    """Run a command to its end; raises LabFailed with what it said."""
    done = subprocess.run(arguments, input=stdin, capture_output=True, text=True, timeout=cap, check=False)
    if done.returncode:
        raise LabFailed(f"run `{' '.join(arguments[:6])}`", done.stderr or done.stdout)
    return done.stdout


def batch(lines: Iterable[str], namespace: str | None = None) -> None:
    """Many `ip` commands in one go, in a namespace or outside."""
    where = ["-n", namespace] if namespace else []
    run(["ip", *where, "-batch", "-"], "\n".join(lines) + "\n")


def create(names: Iterable[str]) -> None:
    """Make namespaces with forwarding on, lo up and duplicate address detection off (it delays IPv6 by seconds)."""
    for name in names:
        run(["ip", "netns", "add", name])
        run(["ip", "-n", name, "link", "set", "lo", "up"])
        with inside(name):
            _sysctl("ipv4/ip_forward", "1")
            for key in ("ipv4/conf/all/rp_filter", "ipv4/conf/default/rp_filter"):
                _sysctl(key, "0")
            for scope in ("all", "default"):
                _sysctl(f"ipv6/conf/{scope}/forwarding", "1")
                _sysctl(f"ipv6/conf/{scope}/accept_dad", "0")


def _sysctl(key: str, value: str) -> None:
    Path("/proc/sys/net", key).write_text(value)


def enter(name: str) -> None:
    """Move the calling thread into a namespace; threads and children that it starts afterwards are there too."""
    fd = os.open(RUN / name, os.O_RDONLY)
    try:
        _setns(fd)
    finally:
        os.close(fd)


@contextmanager
def inside(name: str) -> Iterator[None]:
    """Be in a namespace for a while (this thread only). A socket made inside stays there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        enter(name)
        yield
    finally:
        _setns(home)
        os.close(home)


def _setns(fd: int) -> None:
    if _libc.setns(fd, _CLONE_NEWNET):
        raise LabFailed("enter a network namespace", os.strerror(ctypes.get_errno()))


def remove(names: Iterable[str]) -> None:
    """End what runs in the namespaces, by id, and delete them with FRR's folders of the same name."""
    for name in list(names):
        _end_processes(name)
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        for base in ("/var/run/frr", "/etc/frr"):
            shutil.rmtree(Path(base, name), ignore_errors=True)


def _end_processes(name: str) -> None:
    if not (RUN / name).exists():
        return
    found = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False)
    for pid in found.stdout.split():
        if int(pid) != os.getpid():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def stale() -> list[str]:
    """Namespaces of labs whose process is gone."""
    if not RUN.exists():
        return []
    found = ((entry.name, _NAME.fullmatch(entry.name)) for entry in RUN.iterdir())
    return sorted(name for name, match in found if match and not Path("/proc", match[1]).exists())


def remove_stale() -> list[str]:
    """Remove what a killed lab left behind; returns the names."""
    names = stale()
    remove(names)
    for folder in Path("/tmp").glob("trunkline-lab-*"):  # noqa: S108  made with mkdtemp, owner checked by root
        pid = folder.name.split("-")[2]
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(folder, ignore_errors=True)
    return names
