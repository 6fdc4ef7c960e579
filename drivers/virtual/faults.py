"""Faults on demand: the file `faults` beside the device's flash, read anew at every use.

One fault a line, `#` begins a comment:

    refuse-login            every login is refused
    hang WORD               commands that begin with WORD never answer
    slow SECONDS            every command takes this long
    drop-before-commit      the connection ends when a commit arrives; nothing was changed
    drop-after-commit       the connection ends after the commit, before its answer
    reject TEXT             a commit whose configuration contains TEXT is refused
    down WORD               the neighbour, port, ONU serial or station WORD is down
"""

from pathlib import Path

from drivers.virtual.store import write

KINDS = frozenset(
    {"refuse-login", "hang", "slow", "drop-before-commit", "drop-after-commit", "reject", "down"}
)


class Faults:
    """The faults of one device."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def of(self, kind: str) -> list[str]:
        """The arguments of every fault of a kind; [""] for a kind without argument."""
        found = [line.partition(" ") for line in self._lines()]
        return [argument.strip() for name, _, argument in found if name == kind]

    def set(self, kind: str, argument: str = "") -> None:
        """Add a fault. Raises ValueError for a kind that does not exist."""
        if kind not in KINDS:
            raise ValueError(f"unknown fault '{kind}'; known are {', '.join(sorted(KINDS))}")
        self._write([*self._lines(), f"{kind} {argument}".strip()])

    def clear(self, kind: str | None = None) -> None:
        """Take away the faults of a kind, or all."""
        self._write([line for line in self._lines() if kind and line.split(" ")[0] != kind])

    def _lines(self) -> list[str]:
        if not self.path.exists():
            return []
        lines = (line.strip() for line in self.path.read_text().splitlines())
        return [line for line in lines if line and not line.startswith("#")]

    def _write(self, lines: list[str]) -> None:
        write(self.path, "".join(f"{line}\n" for line in lines).encode())
