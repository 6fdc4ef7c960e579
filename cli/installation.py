"""One installation put together: databases, repository, keys, and every part that runs on them."""

from contextlib import AbstractContextManager
from functools import cached_property

from aaa.grants import grant_nodes
from aaa.limits.keeper import LimitKeeper
from aaa.radius.server import RadiusServer
from aaa.view.builder import ViewBuilder
from aaa.view.derived import open_derived
from aaa.view.seal import Seal
from cli import outside
from core import crypto, discovery, migrate
from core.db import Database
from core.errors import Terminal
from core.jobs import Worker
from core.settings import Settings
from crm.changes import job as changes_job
from intents import forge_job
from intents.committer import Committer
from intents.index.indexer import Indexer
from intents.index.reader import open_reader
from intents.reader import Reader
from intents.repository import Repository
from reconciler.context import Context
from reconciler.lanes import Reconciler
from reconciler.secrets import MaskedSecrets, OpenSecrets


class HomeEmpty(Terminal):
    """There is no network repository to run."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            f"{settings.home} has no network repository; make one with `trunkline init DIR`, then "
            f"`git clone --bare DIR {settings.repository}`"
        )


class Installation:
    """Every part, made when it is first asked for. `close()` gives the databases back."""

    def __init__(self, settings: Settings) -> None:
        if not settings.repository.exists():
            raise HomeEmpty(settings)
        discovery.load_all(("core", "intents", "inventory", "aaa", "billing", "crm", "reconciler", "api"))
        self.settings = settings
        self.db = Database(settings.database_url)
        migrate.upgrade(self.db)
        with self.db.write() as conn:
            grant_nodes(conn)  # the newest tables, too
        self.index_db = open_derived(settings)
        self.repo = Repository(settings.repository, settings.trunk)
        self.key = self._key()

    def _key(self) -> crypto.DataKey | None:
        if not self.settings.key_file.exists():
            return None
        return crypto.load_key(self.settings.key_file, self.settings.identity_file)

    def close(self) -> None:
        """Give the databases back."""
        self.db.close()
        self.index_db.close()

    def reader(self) -> AbstractContextManager[Reader]:
        """A snapshot of the newest indexed revision."""
        return open_reader(self.index_db)

    def open_secret(self, sealed: str, path: str, name: str) -> str:
        """The clear text of a sealed value. Raises SecretNotReadable without the data key."""
        if self.key is None:
            raise crypto.SecretNotReadable(path, name, "this installation has no data key")
        return crypto.open_(self.key, sealed, path, name)

    @cached_property
    def context(self) -> Context:
        """What the reconciler and the API work with."""
        return Context(
            settings=self.settings,
            db=self.db,
            index_db=self.index_db,
            reader=self.reader,
            secrets=OpenSecrets(self.key) if self.key else MaskedSecrets(),
            key=self.key,
            owner=self.settings.node,
        )

    @cached_property
    def committer(self) -> Committer:
        """The only writer of trunk."""
        return Committer(self.settings, self.db, self.repo, self.index_db)

    @cached_property
    def indexer(self) -> Indexer:
        """Follows trunk."""
        return Indexer(self.settings, self.db, self.repo, self.index_db)

    @cached_property
    def view_builder(self) -> ViewBuilder:
        """Follows the index with what RADIUS answers."""
        seal = Seal.of(self.settings.home)
        return ViewBuilder(self.index_db, self.reader, self.open_secret, seal, self.db)

    @cached_property
    def limit_keeper(self) -> LimitKeeper:
        """Lifts limits whose time is over, turns schedules, counts quotas."""
        return LimitKeeper(self.db, self.reader, self.settings.node)

    @cached_property
    def reconciler(self) -> Reconciler:
        """The lanes."""
        return Reconciler(self.context)

    @cached_property
    def worker(self) -> Worker:
        """Performs jobs and delivers events."""
        forge_job.register(self.settings)
        changes_job.register(self.reader, self.key)
        outside.register(self)
        return Worker(self.db, self.settings.node)

    @cached_property
    def radius(self) -> RadiusServer:
        """The RADIUS server of this node; not started."""
        return RadiusServer(self.settings)

    def radius_in_process(self) -> RadiusServer:
        """One RADIUS worker in threads of this process, for the demo and tests; started by `with`."""
        return RadiusServer(self.settings, in_process=True)

    def settle(self, rounds: int = 50) -> int:
        """Run commit -> index -> limits -> view -> lanes -> jobs in this thread until nothing is left to do.

        Returns how much was done.
        """
        total = 0
        for _ in range(rounds):
            done = self.committer.run_once() + len(self.indexer.run_once())
            done += self.limit_keeper.run_once() + self.view_builder.run_once()
            done += self.reconciler.run_once() + self.worker.run_once()
            total += done
            if not done:
                break
        return total
