"""Git maintenance is ours from the first day: every small commit leaves loose objects behind.

Incremental and safe beside readers and writers: nothing unreachable is deleted before it is two weeks old, and what
the index has followed, or a guard holds, is reachable through refs/trunkline/.
"""

import msgspec

from core import clock
from core.db import Database
from core.jobs import Job, enqueue, handles
from core.settings import Settings
from intents.repository import Repository

KIND = "git.maintenance"
_MANY_LOOSE = 1000


class Store(msgspec.Struct, frozen=True):
    """How the objects are kept: loose ones, those in packs, and the number of packs."""

    loose: int
    packed: int
    packs: int


def maintain(repo: Repository) -> Store:
    """Pack loose objects, join small packs geometrically, write the commit graph and pack refs; returns the store."""
    repo.git("repack", "-d", "--geometric=2", "--write-midx", "--quiet")
    repo.git("prune-packed", "--quiet")
    repo.git("commit-graph", "write", "--reachable", "--changed-paths", "--split", "--no-progress")
    repo.git("pack-refs", "--all")
    return store(repo)


def is_due(repo: Repository) -> bool:
    """Whether enough loose objects have gathered."""
    return store(repo).loose >= _MANY_LOOSE


def store(repo: Repository) -> Store:
    """What `git count-objects` says."""
    lines = repo.git("count-objects", "-v").decode().splitlines()
    facts = {key: int(value) for key, value in (line.split(": ", 1) for line in lines) if value.isdigit()}
    return Store(facts["count"], facts["in-pack"], facts["packs"])


def schedule(db: Database) -> None:
    """Queue the next maintenance, once an hour; a job that already waits stands for it."""
    hour = clock.now().strftime("%Y%m%d%H")
    with db.write() as conn:
        enqueue(conn, KIND, {}, unique=f"{KIND}:{hour}")


def register(settings: Settings) -> None:
    """Let this process perform the job on the repository of its settings."""

    @handles(KIND)
    def perform(_db: Database, _job: Job) -> None:
        repo = Repository(settings.repository, settings.trunk)
        if is_due(repo):
            maintain(repo)
