"""Webhooks of the forge: signed, and only a reason to look; what is fetched is validated like everything else."""

import hashlib
import hmac
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from api.answers import Answer, answer
from api.errors import SignatureWrong
from api.here import Here
from intents import forge_job

ROUTER = APIRouter(prefix="/webhooks", tags=["webhooks"])


class Heard(Answer):
    """Whether a fetch was queued; false for a delivery that came before and still waits."""

    queued: bool


async def _body(request: Request) -> bytes:
    return await request.body()


@ROUTER.post("/git", response_model=Heard, status_code=202)
def git(here: Here, request: Request, body: Annotated[bytes, Depends(_body)]) -> Any:
    """Hear of a push or merge (`X-Hub-Signature-256: sha256=…` over the body, secret `webhook_secret`)."""
    _require_signed(
        here.context.settings.webhook_secret, body, request.headers.get("x-hub-signature-256", "")
    )
    with here.context.db.write() as conn:
        queued = forge_job.queue(conn, hashlib.sha256(body).hexdigest()[:32])
    return answer("webhook", queued=queued)


def _require_signed(secret: str, body: bytes, given: str) -> None:
    """Raises SignatureWrong, always so without a secret."""
    wanted = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if not secret or not hmac.compare_digest(wanted.encode(), given.encode()):
        raise SignatureWrong
