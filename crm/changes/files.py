"""The files of a service that changes, and what must hold of it."""

from datetime import date
from typing import Any

from sqlalchemy.engine import Connection

from billing.agenda import entries
from billing.agenda.entries import Entry
from billing.agenda.errors import NotAgreeable
from crm.errors import ServiceUnknown
from intents import queue
from intents.dump import to_yaml
from intents.kinds import path_of
from intents.reader import Reader

ACTOR = "crm"


def require_active(reader: Reader, service: str) -> Any:
    """The service's intent. Raises ServiceUnknown, NotAgreeable where it is not active."""
    intent = reader.get("service", service)
    if intent is None:
        raise ServiceUnknown(service)
    if intent.state != "active":
        raise NotAgreeable(service, f"it is {intent.state}")
    return intent


def require_free(conn: Connection, service: str, day: date, *kinds: str) -> None:
    """Nothing of these kinds waits already; of an end only one that comes by then. Raises NotAgreeable."""
    for one in entries.pending(entries.of_service(conn, service), *kinds):
        if one.kind != entries.CEASE or one.due_on <= day or kinds[0] == entries.CEASE:
            raise NotAgreeable(
                service, f"{one.kind} on {one.due_on} is agreed already ({one.id}); cancel it first"
            )


def service_change(conn: Connection, service: str, content: bytes) -> queue.Change:
    """The file of a service; whatever is said of it later outruns it."""
    key = f"service:{service}"
    return queue.Change(
        path=path_of("service", service), content=content, fence_key=key,
        fence_version=queue.bump_fence(conn, key),
    )  # fmt: skip


def put_service(conn: Connection, entry: Entry, value: Any, reason: str) -> str:
    """Queue a service's new file; returns the change set."""
    change = service_change(conn, entry.service, to_yaml("service", value))
    return queue.submit(conn, actor=ACTOR, reason=reason, changes=[change], correlation=entry.id)
