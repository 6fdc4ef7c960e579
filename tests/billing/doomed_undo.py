"""Undoing a run that a fault point may kill; its arguments are DATABASE_URL RUN."""

import sys

from billing import undoing
from core.db import Database


def main() -> None:
    """Undo it once."""
    undoing.undo(Database(sys.argv[1]), sys.argv[2], actor="anna")
