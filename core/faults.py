"""Fault points: named places where a test kills the process to prove that recovery is right.

`P = declare("committer.after_update_ref")` at import, `point(P)` where it matters. Nothing happens unless
TRUNKLINE_TEST_MODE=1 and TRUNKLINE_FAULT=name:n:kill|raise names this point; `n` is the n-th passage.
"""

import os
import signal

ALL: set[str] = set()
_passages: dict[str, int] = {}


class FaultInjected(Exception):
    """Raised at a fault point on request of a test; deliberately no TrunklineError, so nothing may swallow it."""


def declare(name: str) -> str:
    """Register a fault point; a test fails for any that no test kills."""
    ALL.add(name)
    return name


def point(name: str) -> None:
    """Pass a fault point: free unless a test asked for this one."""
    wanted = os.environ.get("TRUNKLINE_FAULT")
    if wanted is None or os.environ.get("TRUNKLINE_TEST_MODE") != "1":
        return
    target, number, action = wanted.split(":")
    if target != name:
        return
    _passages[name] = _passages.get(name, 0) + 1
    if _passages[name] != int(number):
        return
    if action == "raise":
        raise FaultInjected(name)
    os.kill(os.getpid(), signal.SIGKILL)
