"""Liveness, readiness and metrics, at the addresses where orchestrators and Prometheus look for them."""

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel

from aaa.observe.exposition import exposition as radius_metrics
from aaa.support import worker_positions
from api.answers import Answer, answer
from api.here import Here
from api.security import needs
from api.tokens import Identity
from core import metrics, migrate
from core.errors import TrunklineError
from core.problems import Problem, envelope
from intents.index.indexer import stopped_reason

ROUTER = APIRouter(tags=["health"])
_SILENT = 10.0
"""Seconds after which a RADIUS worker counts as gone."""


class Alive(Answer):
    """This process answers."""

    alive: bool


class Worker(BaseModel):
    """How far a RADIUS worker follows the view."""

    worker: str
    seq: int
    behind: int
    seconds: float


class Ready(Answer):
    """Whether everything that answers subscribers is in step."""

    ready: bool
    revision: str
    workers: list[Worker]


@ROUTER.get("/healthz", response_model=Alive)
def healthz() -> Any:
    """Say that this process answers."""
    return answer("alive", alive=True)


@ROUTER.get("/readyz", response_model=Ready, responses={503: {"model": Ready}})
def readyz(here: Here) -> Any:
    """Check the database, that the index follows trunk, and that every RADIUS worker keeps up."""
    problems: list[Problem] = []
    workers: list[dict[str, Any]] = []
    revision = ""
    try:
        migrate.check(here.context.db)
        with here.context.reader() as reader:
            revision = reader.revision
        with here.context.index_db.read() as conn:
            workers = worker_positions(conn)
        problems = [*_index(here), *_workers(workers)]
    except TrunklineError as error:
        problems = [Problem("ready.database", str(error))]
    told = envelope("ready", problems, ready=not problems, revision=revision, workers=workers)
    return JSONResponse(told, 503 if problems else 200)


@ROUTER.get("/metrics", response_class=Response)
def scrape(here: Here, _who: Annotated[Identity, needs("viewer")]) -> Response:
    """Prometheus metrics of this process and of this node's RADIUS workers."""
    told = metrics.exposition() + radius_metrics(here.context.settings.home)
    return Response(told, media_type=CONTENT_TYPE_LATEST)


def _index(here: Here) -> list[Problem]:
    stopped = stopped_reason(here.context.index_db)
    if stopped is None:
        return []
    return [Problem("ready.index", f"the index does not follow trunk ({stopped[0]}): {stopped[1]}")]


def _workers(workers: list[dict[str, Any]]) -> list[Problem]:
    return [
        Problem(
            "ready.radius",
            f"RADIUS worker {one['worker']}: {one['behind']} behind, {one['seconds']} s silent",
        )
        for one in workers
        if one["seconds"] > _SILENT
    ]
