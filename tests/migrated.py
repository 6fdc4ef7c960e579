"""What takes long to make and is made once a process: a migrated database file, to be copied."""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path


def kept_folder(name: str) -> Path:
    """A folder of this process, gone when it ends."""
    folder = Path(tempfile.mkdtemp(prefix=f"trunkline-{name}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def migrated_sqlite() -> Path:
    """A migrated, empty SQLite file."""
    from core.db import Database
    from core.migrate import upgrade

    path = kept_folder("sqlite") / "template.db"
    opened = Database(f"sqlite:///{path}")
    upgrade(opened)
    with opened.engine.connect() as conn:
        conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    opened.close()
    return path
