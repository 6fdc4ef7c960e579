"""What it takes for octets to be on the disk: all of them written, and their file's name synced."""

import os
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path


def write_whole(file: FileIO, octets: bytes) -> None:
    """All of it: an unbuffered file may take a part at a time. Raises OSError."""
    left = memoryview(octets)
    while left:
        left = left[file.write(left) :]


def sync_folder(folder: Path) -> None:
    """Return when the names in a folder are on the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Segment:
    """A file that grows piece by piece: a piece is all there and synced, or it is not there at all."""

    def __init__(self, path: Path, file: FileIO) -> None:
        """`file` is empty, unbuffered, and its name `path` is synced before anything counts."""
        self.path, self._file = path, file
        self.length = 0
        """So many octets are synced."""
        self.usable = True
        """Whether anything may follow: not behind a piece that is torn, or whose sync failed."""

    def append(self, octets: bytes, before_sync: Callable[[], None]) -> None:
        """Write and sync; durable when it returns. Raises OSError, and then the piece is not there."""
        try:
            write_whole(self._file, octets)
        except OSError:
            self._take_back()
            raise
        before_sync()
        try:
            os.fdatasync(self._file.fileno())
        except OSError:
            self.abandon()
            raise
        self.length = self._file.tell()

    def abandon(self) -> None:
        """What is whole stays, and nothing may follow; an empty file goes."""
        self.usable = False
        with suppress(OSError):  # the disk is away; what it holds is whole pieces up to the tear
            self._file.close()
        with suppress(OSError):
            if not self.length:
                self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """End it. Raises OSError."""
        self._file.close()

    def _take_back(self) -> None:
        """The disk is full: a torn piece goes, so that it can be gone on with when there is room again."""
        try:
            self._file.truncate(self.length)
            self._file.seek(self.length)
        except OSError:
            self.abandon()
