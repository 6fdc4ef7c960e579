"""The forge's word that something was merged, as a job: a webhook queues it, a worker fetches and pushes."""

from sqlalchemy.engine import Connection

from core import logs
from core.db import Database
from core.errors import Retryable
from core.jobs import Job, enqueue, handles
from core.settings import Settings
from intents.forge import Forge
from intents.repository import Repository

KIND = "forge.sync"


class ForgeNotInStep(Retryable):
    """A round with the forge did not work."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the forge is not in step: {why}")


def queue(conn: Connection, delivery: str) -> bool:
    """Queue a round with the forge in the caller's transaction; one delivery that comes twice is one round."""
    return enqueue(conn, KIND, {"delivery": delivery}, unique=f"{KIND}:{delivery}")


def register(settings: Settings) -> None:
    """Let this process perform the job on the repository of its settings."""

    @handles(KIND)
    def perform(db: Database, _job: Job) -> None:
        if not settings.forge_url:
            return
        synced = Forge(settings, db, Repository(settings.repository, settings.trunk)).sync_once()
        if synced.why:
            raise ForgeNotInStep(synced.why)
        logs.get("forge").info("in step", taken=len(synced.taken), left=len(synced.left))
