"""Kills of a bill run: at each fault point and at random moments, resumed each time, and compared with a calm one."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time

import sqlalchemy as sa

from billing import billrun, canonical
from billing.models import invoice
from billing.runs import numbering
from core.db import Database

POINTS = (billrun.P_CHUNK, billrun.P_DRAFTS, numbering.P_NUMBER, numbering.P_STRETCH)
_SEED = 20_260_101


def digest(database: Database) -> tuple[str, int, float]:
    """SHA-256 of the canonical export, its lines, and how long it took."""
    begun, found, lines = time.monotonic(), hashlib.sha256(), 0
    with database.read() as conn:
        for line in canonical.export_all(conn):
            found.update(line.encode() + b"\n")
            lines += 1
    return found.hexdigest(), lines, time.monotonic() - begun


def kill_and_resume(url: str, kills: int, calm_seconds: float) -> None:
    """Let the run of one world die at each point (its second passage), and `kills` times at random; then end it."""
    database = Database(url)
    print(f"{'killed':<36}{'after s':>9}{'drafts':>10}{'final':>10}")
    dice = random.Random(_SEED)
    deaths = [*((point, 0.0) for point in POINTS), *(("", dice.random()) for _ in range(kills))]
    # At random first: at the points of the numbering little is left to do.
    for point, share in sorted(deaths, key=lambda one: POINTS.index(one[0]) + 1 if one[0] else 0):
        begun = time.monotonic()
        how = _die(url, point, share * calm_seconds / max(1, kills))
        drafts, final = _state(database)
        print(f"{how:<36}{time.monotonic() - begun:>9.1f}{drafts:>10}{final:>10}", flush=True)
    begun = time.monotonic()
    subprocess.run([sys.executable, "-m", "bench.billing_doomed", url], check=True)
    drafts, final = _state(database)
    print(f"{'resumed to the end':<36}{time.monotonic() - begun:>9.1f}{drafts:>10}{final:>10}")
    database.close()


def _die(url: str, point: str, after: float) -> str:
    env = {**os.environ, "TRUNKLINE_TEST_MODE": "1"}
    if point:
        passage = 1 if point == billrun.P_DRAFTS else 2
        env["TRUNKLINE_FAULT"] = f"{point}:{passage}:kill"
    child = subprocess.Popen([sys.executable, "-m", "bench.billing_doomed", url], env=env)
    try:
        child.wait(timeout=None if point else 1.0 + after)
    except subprocess.TimeoutExpired:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        return "SIGKILL at random"
    return (
        f"SIGKILL at {point}" if child.returncode == -signal.SIGKILL else f"{point or 'random'}: ended before"
    )


def _state(database: Database) -> tuple[int, int]:
    query = sa.select(invoice.c.state, sa.func.count()).group_by(invoice.c.state)
    with database.read() as conn:
        found = {row[0]: int(row[1]) for row in conn.execute(query)}
    return found.get("draft", 0), found.get("final", 0)
