"""What it takes for octets to be on the disk: all of them written, and their file's name synced."""

import os
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
