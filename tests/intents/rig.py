"""A network on a bare repository with its queue, committer and index; and an engineer who pushes by himself."""

import shutil
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from core.db import Database
from core.models import event
from core.settings import Settings
from intents import queue
from intents.committer import Committer
from intents.committer.build import Edit, Landing, build
from intents.index.canonical import canonical_dump
from intents.index.indexer import Indexer
from intents.index.position import IndexChange, changes_after, last_seq
from intents.index.reader import open_reader
from intents.models import change_set
from intents.queue import Change
from intents.repository import Repository
from tests.intents import build as networks
from tests.migrated import migrated_sqlite

GUARDED = networks.CONFIG + b"guards: {restrict: {count: 5}, devices: {percent: 50}, deletes: {count: 3}}\n"


class Rig:
    """Everything of the intents room over one home folder."""

    def __init__(self, home: Path, database: Database | None = None) -> None:
        self.settings = Settings.load(home, env={})
        if database is None and not home.exists():
            home.mkdir(parents=True)
            shutil.copy(migrated_sqlite(), home / "trunkline.db")
        self.db = database or Database(self.settings.database_url)
        self.index_db = Database(self.settings.index_url, durable=False)

    def begin(self, services: int = 4, config: bytes = networks.CONFIG) -> "Rig":
        """Make the repository and index it."""
        networks.make(self.settings, services, config)
        return self.open()

    def open(self) -> "Rig":
        """Open what is there, as a fresh process does."""
        self.repo = Repository(self.settings.repository)
        self.committer = Committer(self.settings, self.db, self.repo, self.index_db)
        self.indexer = Indexer(self.settings, self.db, self.repo, self.index_db)
        return self

    def submit(self, actor: str, reason: str, *changes: Change, **more: Any) -> str:
        """Queue a change set in a transaction of its own."""
        with self.db.write() as conn:
            return queue.submit(conn, actor=actor, reason=reason, changes=changes, **more)

    def land(self, actor: str, reason: str, *changes: Change, **more: Any) -> str:
        """Queue a change set, let the committer and the indexer run, and say what became of it."""
        set_id = self.submit(actor, reason, *changes, **more)
        self.run()
        return self.state(set_id)

    def run(self) -> list[IndexChange]:
        """Let the committer work until idle, then the indexer."""
        with self.index_db.read() as conn:
            since = last_seq(conn)
        self.committer.run_until_idle()
        self.indexer.run_once()
        with self.index_db.read() as conn:
            return changes_after(conn, since, 100_000)

    def state(self, set_id: str) -> str:
        """The state of a set, as a plain text."""
        with self.db.read() as conn:
            return queue.set_state(conn, set_id).value

    def row(self, set_id: str) -> Any:
        """The row of a set."""
        with self.db.read() as conn:
            return conn.execute(sa.select(change_set).where(change_set.c.set_id == set_id)).one()

    def push(self, edits: dict[str, bytes | None], author: str = "engineer") -> str:
        """A commit by a person, straight to trunk."""
        head = self.repo.head()
        landing = Landing(
            set_id="forged", actor=author, reason="edit", edits=tuple(Edit(*item) for item in edits.items())
        )
        commit = build(self.repo, "refs/heads/work", head, [landing])[0]
        self.repo.update_ref(self.repo.trunk_ref, commit, head)
        return commit

    def holds(self) -> list[str]:
        """Ids of the holds in the index."""
        with open_reader(self.index_db) as reader:
            return list(reader.ids("hold"))

    def get(self, kind: str, identifier: str) -> Any:
        """A document of the index."""
        with open_reader(self.index_db) as reader:
            return reader.get(kind, identifier)

    def file(self, path: str) -> bytes:
        """A file of trunk."""
        return self.repo.read(self.repo.blob_at(self.repo.trunk_ref, path) or "")

    def line(self) -> list[str]:
        """Commits on trunk after the first, oldest first."""
        return self.repo.first_parents(None, self.repo.head() or "")[1:]

    def commits(self) -> int:
        """How many commits trunk has after the first."""
        return len(self.line())

    def events(self, type_: str) -> list[dict[str, Any]]:
        """Data of the recorded events of a type, oldest first."""
        with self.db.read() as conn:
            query = sa.select(event.c.data).where(event.c.type == type_).order_by(event.c.seq)
            return list(conn.execute(query).scalars())

    def counts(self) -> dict[str, int]:
        """Git objects read and programs started so far."""
        return {"blobs": self.repo.blobs_read, "trees": self.repo.trees_read, "git": self.repo.git_calls}

    def dump(self) -> bytes:
        """The canonical index."""
        return canonical_dump(self.index_db)

    def cold_dump(self, name: str = "cold.db") -> bytes:
        """The canonical index of a cold build of now."""
        index_db = Database(f"sqlite:///{self.settings.home / name}", durable=False)
        Indexer(self.settings, self.db, self.repo, index_db).run_once()
        return canonical_dump(index_db)

    def release_path(self, number: int) -> Change:
        """The change that lifts the hold of a service."""
        return Change(path=networks.hold_path(number), op="delete")

    def hold(self, number: int, **more: Any) -> Change:
        """The change that holds a service."""
        return Change(path=networks.hold_path(number), content=networks.hold_file(), **more)
