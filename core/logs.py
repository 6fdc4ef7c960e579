"""Structured logs that never show a secret."""

import atexit
import logging
import re
import sys
import threading
import time
from collections.abc import MutableMapping
from contextlib import suppress
from multiprocessing.util import Finalize
from queue import SimpleQueue
from typing import Any, TextIO, cast

import structlog

_SECRET_KEYS = re.compile(
    r"(password|secret|token|psk|community|passphrase|private|credential|authorization)", re.IGNORECASE
)
_SEALED = re.compile(r"enc:v1:[A-Za-z0-9+/=_-]+")
# A configuration line's secret is the word after its keyword; a sentence about secrets goes on with a small word.
_INLINE = re.compile(
    r"(?i)\b(password|secret|key-chain|md5|community)(\s+(?:\d\s+)?(?!(?:at|of|is|in|for|does|and|or)\b)|=)(\S+)"
)
MASK = "<redacted>"
_ROOM, _PATIENCE = 1000, 1.0


def redact(value: Any, key: str = "") -> Any:
    """The value without secrets: by the name of its key, and by patterns inside texts; containers recursively."""
    if key and _SECRET_KEYS.search(key) and isinstance(value, str | bytes):
        return MASK
    if isinstance(value, str):
        return _INLINE.sub(rf"\1\2{MASK}", _SEALED.sub("enc:v1:…", value))
    if isinstance(value, dict):
        return {k: redact(v, str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    return value


def _redactor(_logger: Any, _name: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: redact(value, key) for key, value in entry.items()}


class _StandardError:
    """Standard error as it is when a line is written: it may be another one than when the logger was made.

    A line that cannot be written (its reader is gone, its disk is full) is lost: whoever said it goes on with the work.
    """

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()


class _Behind:
    """Standard error from a thread of its own, for whoever must never wait for the reader of a log: lines that find
    `_ROOM` before them are lost, and counted in the next one.
    """

    def __init__(self) -> None:
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._parts: list[str] = []
        self._lost = 0
        self._written = self._said = 0
        self._to = _StandardError()
        threading.Thread(target=self._write_all, name="log", daemon=True).start()
        # A process of `multiprocessing` ends without atexit.
        atexit.register(self._last_words)
        Finalize(self, self._last_words, exitpriority=0)

    def write(self, text: str) -> int:
        self._parts.append(text)
        return len(text)

    def flush(self) -> None:
        """A whole line is there (structlog writes and flushes one at a time, under a lock)."""
        line, self._parts = "".join(self._parts), []
        if self._lines.qsize() >= _ROOM:
            self._lost += 1
            return
        if self._lost:
            line, self._lost = f"{line.rstrip()} ({self._lost} lines before this one were lost)\n", 0
        self._said += 1
        self._lines.put(line)

    def _write_all(self) -> None:
        while True:
            self._to.write(self._lines.get())
            self._to.flush()
            self._written += 1

    def _last_words(self) -> None:
        end = time.monotonic() + _PATIENCE
        while self._written < self._said and time.monotonic() < end:
            time.sleep(0.01)


def configure(format_: str = "console", level: str = "INFO", *, behind: bool = False) -> None:
    """Write to standard error as `console` lines or one `json` object a line; `behind`: never wait for its reader."""
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if format_ == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redactor,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(
            cast("TextIO", _Behind() if behind else _StandardError())
        ),
        cache_logger_on_first_use=False,
    )


def get(room: str) -> structlog.stdlib.BoundLogger:
    """The logger of a room; it follows `configure` also when it was made before."""
    return cast("structlog.stdlib.BoundLogger", structlog.get_logger(room=room))


configure()  # nothing is ever printed to standard output, also where nobody configures anything
