"""Waiting for Ctrl-C or SIGTERM."""

import signal
import threading


def until_interrupted() -> None:
    """Return at the first SIGINT or SIGTERM."""
    over = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: over.set())
    while not over.wait(0.5):
        pass
