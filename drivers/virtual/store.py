"""The device's flash: one JSON file, replaced as a whole, so that a kill leaves the old state or the new one."""

import os
from pathlib import Path
from typing import TypeVar

import msgspec

_T = TypeVar("_T")


class Commit(msgspec.Struct, frozen=True):
    """A configuration that ran; `at` in seconds since the epoch."""

    text: str
    at: float
    login: str
    comment: str


class Pending(msgspec.Struct, frozen=True):
    """A commit that waits for its confirmation: without it `revert_to` runs again at `deadline` (epoch seconds)."""

    deadline: float
    revert_to: str
    comment: str


class State(msgspec.Struct, frozen=True):
    """What survives a power cut. `history[0]` is what runs."""

    history: tuple[Commit, ...]
    pending: Pending | None = None


def write(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace a file durably: the content first, then the name, then the folder."""
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def save(path: Path, value: object) -> None:
    """Keep a Struct (or builtins) as JSON, durably."""
    write(path, msgspec.json.encode(value))


def load(path: Path, shape: type[_T], default: _T) -> _T:
    """What was saved last; `default` on a new device."""
    return msgspec.json.decode(path.read_bytes(), type=shape) if path.exists() else default
