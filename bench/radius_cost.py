"""What a tree of processes has cost: CPU of all threads, of the living and of the buried; memory as PSS."""

import os
from pathlib import Path
from typing import NamedTuple

_TICK = os.sysconf("SC_CLK_TCK")


class Cpu(NamedTuple):
    """Seconds of CPU since a process tree began."""

    user: float
    kernel: float

    def since(self, before: "Cpu") -> "Cpu":
        """What was spent in between."""
        return Cpu(self.user - before.user, self.kernel - before.kernel)


def tree(root: int) -> list[int]:
    """A process and all its living descendants."""
    found, at = [root], 0
    while at < len(found):
        for task in Path(f"/proc/{found[at]}/task").glob("*/children"):
            found += [int(pid) for pid in _text(task).split()]
        at += 1
    return found


def cpu_of(root: int) -> Cpu:
    """Seconds of the whole tree, all threads. What dead children spent is in the parent that buried them."""
    user = kernel = 0
    for pid in tree(root):
        fields = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
        if fields:
            user += int(fields[11]) + int(fields[13])
            kernel += int(fields[12]) + int(fields[14])
    return Cpu(user / _TICK, kernel / _TICK)


def pss_of(root: int, workers: bool = False) -> float:
    """MiB of the whole tree; a page that several processes share is counted once. `workers`: without the root and its
    own children, which start and watch them.
    """
    kib = 0
    for pid in tree(root):
        if workers and root in (pid, _parent(pid)):
            continue
        for line in _text(Path(f"/proc/{pid}/smaps_rollup")).splitlines():
            if line.startswith("Pss:"):
                kib += int(line.split()[1])
    return kib / 1024


def _parent(pid: int) -> int:
    fields = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return int(fields[1]) if fields else 0


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
        return ""
