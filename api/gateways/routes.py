"""Webhooks of payment gateways: signed, heard once, and what they say is recorded before they get their answer."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from api.answers import Answer, answer
from api.errors import NotUsable
from api.gateways.pages import PAGES, RESOURCE
from api.here import Here
from billing.gateways import protocol, recording
from core import crypto

_WEBHOOKS = APIRouter(prefix="/webhooks", tags=["webhooks"])
_MOST = 1 << 20


class Heard(Answer):
    """Whether some of it was new; an event that comes again is no mistake."""

    new: bool


async def _body(request: Request) -> bytes:
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > _MOST:
            raise NotUsable("the event", f"it is larger than {_MOST} bytes")
    return bytes(found)


@_WEBHOOKS.post("/gateways/{gateway}", response_model=Heard)
def hear(here: Here, request: Request, gateway: str, body: Annotated[bytes, Depends(_body)]) -> Any:
    """Hear of a charge, a refund or a dispute, signed as the gateway does it."""

    def opened(sealed: str, field: str) -> str:
        key = here.context.key
        return crypto.open_(key, sealed, "trunkline.yaml", field) if key else sealed

    with here.context.reader() as reader:
        told = protocol.connect(reader, gateway, opened).read_events(request.headers, body)
    new = False
    for one in told:  # each in its own transaction: they are about different accounts
        with here.context.db.write() as conn:
            new = recording.hear(conn, gateway, one) or new
    return answer("gateway-event", new=new)


ROUTER = APIRouter(routes=[*_WEBHOOKS.routes, *PAGES.routes, *RESOURCE.routes])
