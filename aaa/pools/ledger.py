"""The ledger of one worker: an append-only file of events, from which it knows after a kill what it has given.

A write without a sync survives the death of the process; only a machine that dies loses the tail. So what may be given
is synced ahead, in batches, and what was given is only written. After a machine's death (another kernel boot, or a torn
tail) the reserved addresses of which no giving is told are in doubt.
"""

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from aaa.errors import LedgerInUse
from aaa.pools.shelf import Event
from aaa.view.overlay import frame, frames
from core import faults
from core.crypto import write_private
from core.disk import sync_folder

BEFORE_SYNC = faults.declare("pools.before_reserve_sync")
AFTER_SYNC = faults.declare("pools.after_reserve_sync")
AFTER_GIVE = faults.declare("pools.after_give")
REWRITTEN = faults.declare("pools.after_ledger_rewrite")

_KERNEL = Path("/proc/sys/kernel/random/boot_id")
_decode = msgspec.msgpack.Decoder(Event).decode
_encode = msgspec.msgpack.Encoder().encode


class Ledger:
    """`read` once, then `rewrite`, then `write` and `sync`. One process at a time: another one is refused."""

    def __init__(self, path: Path, boot: str = "") -> None:
        """`boot` names the kernel's boot; asked of it by default. Raises LedgerInUse."""
        self.path = path
        self._boot = boot or kernel_boot()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise LedgerInUse(str(path)) from error
        self._file = -1
        self.size = self._number = 0
        self.on_disk = 0
        """Events that this worker ever wrote and that are on the disk. An older copy of the file has fewer."""

    def read(self) -> tuple[list[Event], bool]:
        """Everything written so far, and whether something may have been lost: all of it where there is no file."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return [], True
        payloads = list(frames(raw))
        whole = sum(len(frame(payload)) for payload in payloads) == len(raw)
        boot, _space, number = payloads[0].decode().partition(" ") if payloads else ("", "", "")
        same = bool(payloads) and boot == self._boot
        self.on_disk = self._number = int(number or 0) + len(payloads[1:])
        return [_decode(payload) for payload in payloads[1:]], not (whole and same)

    def pass_over(self, number: int) -> None:
        """So many events were written by us, of which an older copy of the file does not know."""
        self._number = max(self._number, number)

    def rewrite(self, events: Iterable[Event], sure: bool = True) -> None:
        """The file anew with what counts now; replaced in one step, synced. Not `sure`: whoever reads it next is to
        know, too, that something may have been lost.
        """
        if self._file >= 0:
            os.close(self._file)
        told = list(events)
        self.on_disk = self._number = max(self._number, len(told))
        head = f"{self._boot if sure else ''} {self._number - len(told)}"
        content = frame(head.encode()) + _framed(told)
        write_private(self.path, content)
        sync_folder(self.path.parent)
        faults.point(REWRITTEN)
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        self.size = len(content)

    def write(self, events: Iterable[Event]) -> None:
        """Append; survives the process, not the machine. Raises OSError, and then nothing may be given."""
        self.append(events)
        faults.point(AFTER_GIVE)

    def sync(self) -> None:
        """Return when the disk has everything that was appended before."""
        faults.point(BEFORE_SYNC)
        number = self._number
        os.fdatasync(self._file)
        self.on_disk = max(self.on_disk, number)
        faults.point(AFTER_SYNC)

    def close(self) -> None:
        """Give file and lock back."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        os.close(self._lock)

    def append(self, events: Iterable[Event]) -> None:
        """The same for what the keeping thread finds out. Raises OSError."""
        told = list(events)
        content = _framed(told)
        written = os.write(self._file, content)
        if written != len(content):
            os.ftruncate(self._file, self.size)
            raise OSError("the ledger could not be written whole")
        self.size += written
        self._number += len(told)


def kernel_boot() -> str:
    """Names this boot of the machine; empty where the kernel does not tell, which counts as another each time."""
    try:
        return _KERNEL.read_text().strip()
    except OSError:
        return os.urandom(8).hex()


def _framed(events: Iterable[Event]) -> bytes:
    return b"".join(frame(_encode(event)) for event in events)
