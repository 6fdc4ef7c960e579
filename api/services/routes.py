"""Services: what restricts them, whether the network proved it, sessions, receipts; ending one."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import Query
from pydantic import BaseModel

from api.answers import Answer, answer
from api.here import Here
from api.resource import After, Limit, page, resource
from api.security import needs
from api.services import view
from api.services.view import Live, ServiceState
from api.tokens import Identity
from crm import cessation

ROUTER = resource("services")
Staff = Annotated[Identity, needs("support", "billing", "engineer")]


class Refusal(BaseModel):
    """A login that was refused."""

    at: datetime
    login: str
    nas: str
    reason: str
    detail: str


class One(Answer):
    """A service with its newest receipts."""

    service: ServiceState
    receipts: list[dict[str, Any]]


class Services(Answer):
    """A page of service ids."""

    services: list[str]
    next: str | None = None


class Sessions(Answer):
    """The newest sessions, and why logins were refused."""

    sessions: list[Live]
    refusals: list[Refusal]


class Ended(Answer):
    """The change set that ends the service; `costs`: its early-termination fee, in words (empty: none)."""

    set_id: str
    costs: str


@ROUTER.get("", response_model=Services)
def list_services(
    here: Here,
    _who: Annotated[Identity, needs("viewer")],
    line: Annotated[str, Query(description="Only those on this line.")] = "",
    limit: Limit = 100,
    after: After = "",
) -> Any:
    """List service ids."""
    with here.context.reader() as reader:
        names = (
            [name for _, name in reader.referrers("line", line, "service")] if line else reader.ids("service")
        )
    shown, cursor = page([{"id": name} for name in names if name > after][: limit + 1], limit, "id")
    return answer("services", services=[one["id"] for one in shown], next=cursor)


@ROUTER.get("/{service}", response_model=One)
def show_service(here: Here, _who: Annotated[Identity, needs("viewer")], service: str) -> Any:
    """Show a service: `free` only once every RADIUS worker and every session is on the new policy."""
    found = view.service_state(here, service)
    with here.context.db.read() as conn:
        told = [msgspec.to_builtins(one) for one in view.receipts_of(conn, service)]
    return answer("service", service=found, receipts=told)


@ROUTER.get("/{service}/sessions", response_model=Sessions)
def show_sessions(here: Here, _who: Staff, service: str, limit: Limit = 20) -> Any:
    """List its sessions, the newest first, and its last refusals."""
    login = view.service_state(here, service).login
    with here.context.db.read() as conn:
        return answer(
            "sessions",
            sessions=view.sessions(conn, service, limit),
            refusals=view.refusals(conn, service, login),
        )


@ROUTER.post("/{service}/cease", response_model=Ended, status_code=202)
def cease(here: Here, who: Annotated[Identity, needs("support")], service: str) -> Any:
    """End a service; billing ends when it has landed."""
    with here.context.reader() as reader, here.context.db.write() as conn:
        set_id = cessation.cease_service(conn, reader, service, actor=who.actor)
        return answer("cessation", set_id=set_id, costs=cessation.costs_today(conn, service))
