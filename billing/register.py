"""What billing registers: the events that it listens to, its preview, and what each of its folders registers."""

import importlib

import billing.preview  # noqa: F401  (registers itself)
from billing import hearing, holds
from core import discovery, events
from core.db import Database
from core.events import Event

for _folder in discovery.folders("billing", "register"):
    importlib.import_module(f"billing.{_folder}.register")


@events.on("hold.removed")
def hold_removed(database: Database, event: Event) -> None:
    """Learn of a hold that went."""
    with database.write() as conn:
        hearing.hold_removed(conn, event)


@events.on("hold.added")
def hold_added(database: Database, event: Event) -> None:
    """Learn of a hold that came."""
    with database.write() as conn:
        hearing.hold_added(conn, event)


@events.on("changeset.rejected")
@events.on("changeset.conflicted")
def change_set_refused(database: Database, event: Event) -> None:
    """Learn that a change set of ours did not land."""
    with database.write() as conn:
        holds.refused(conn, event.data["set_id"])


@events.on("service.activated")
def service_activated(database: Database, event: Event) -> None:
    """Start billing."""
    with database.write() as conn:
        hearing.service_activated(conn, event)


@events.on("service.ceased")
def service_ceased(database: Database, event: Event) -> None:
    """End billing."""
    with database.write() as conn:
        hearing.service_ceased(conn, event)
