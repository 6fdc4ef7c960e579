"""Schema upgrades of recorded state: one Alembic branch per room, discovered in `<room>/migrations/versions`."""

import importlib
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from core import discovery
from core.db import Database
from core.errors import Terminal


class SchemaNotCurrent(Terminal):
    """The database's schema is not the one this version of Trunkline works with."""

    def __init__(self, missing: set[str], unknown: set[str]) -> None:
        what = f"lacks {', '.join(sorted(missing))}" if missing else f"is newer: {', '.join(sorted(unknown))}"
        super().__init__(
            f"the database schema {what}; run `trunkline serve`, or install the version it belongs to"
        )


def upgrade(db: Database) -> None:
    """Bring every room's tables to their newest revision; doing it again changes nothing."""
    with db.rebuild() as conn:
        command.upgrade(_config(conn), "heads")


def check(db: Database) -> None:
    """Raise SchemaNotCurrent unless every room's branch is at its head."""
    with db.read() as conn:
        have = set(MigrationContext.configure(conn).get_current_heads())
        want = set(ScriptDirectory.from_config(_config(conn)).get_heads())
    if have != want:
        raise SchemaNotCurrent(want - have, have - want)


def version_folders() -> dict[str, Path]:
    """Room -> its folder of revisions, for the rooms that have one."""
    found = {}
    for room in discovery.ROOMS:
        folder = Path(importlib.import_module(room).__path__[0]) / "migrations" / "versions"
        if folder.is_dir():
            found[room] = folder
    return found


def _config(conn: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(str(path) for path in version_folders().values()))
    config.attributes["connection"] = conn
    return config
