"""A process of its own that brings an installation to rest; its argument is the home."""

import sys
from datetime import timedelta

import sqlalchemy as sa

from cli.installation import Installation
from core import clock
from core.settings import Settings
from reconciler.models import device_run
from tests.support import eventually


def main() -> None:
    """Settle, also what only waits for a moment (a wave behind another)."""
    one = Installation(Settings.load(sys.argv[1]))
    eventually(lambda: not one.settle() and not _due_soon(one), cap=30)
    one.reconciler.close()
    one.close()


def _due_soon(one: Installation) -> bool:
    soon = clock.now() + timedelta(seconds=5)
    with one.db.read() as conn:
        waiting = sa.select(device_run.c.run_id).where(device_run.c.open, device_run.c.not_before < soon)
        return conn.execute(waiting).first() is not None
