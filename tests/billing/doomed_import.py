"""An import of a statement that a fault point may kill; its arguments are DATABASE_URL FILE."""

import sys
from pathlib import Path

from billing.bank import camt, importing
from core.crypto import DataKey
from core.db import Database


def main() -> None:
    """Import it once."""
    database, file = Database(sys.argv[1]), Path(sys.argv[2])
    importing.import_statements(
        database, camt.read(file.read_bytes(), file.name), file.name, DataKey(bytes(32)), actor="a"
    )
    database.close()
