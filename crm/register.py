"""What CRM registers: the events that it listens to."""

from billing import accounts
from billing.periods import local_date
from core import events
from core.db import Database
from core.events import Event
from crm import activation, cessation
from crm.changes import performing, replacing


@events.on("changeset.landed")
def change_set_landed(database: Database, event: Event) -> None:
    """An order or an end is on trunk."""
    with database.write() as conn:
        activation.landed(conn, event.data["set_id"])
        cessation.landed(conn, event.data["set_id"])
        performing.landed(conn, event.data["set_id"])


@events.on("changeset.rejected")
@events.on("changeset.conflicted")
@events.on("changeset.superseded")
def change_set_refused(database: Database, event: Event) -> None:
    """An order or an end cannot land."""
    why = _why(event)
    with database.write() as conn:
        activation.refused(conn, event.data["set_id"], why)
        cessation.refused(conn, event.data["set_id"], why)
        performing.refused(conn, event.data["set_id"], why)


@events.on("changeset.parked")
def change_set_parked(database: Database, event: Event) -> None:
    """An order waits for a person."""
    with database.write() as conn:
        activation.waits(conn, event.data["set_id"], "parked by a guard: waits for a person")


@events.on("activation.confirmed")
def activation_confirmed(database: Database, event: Event) -> None:
    """The access device has the service."""
    with database.write() as conn:
        activation.confirm_activation(conn, event.data["service"])


@events.on("service.activated")
def service_activated(database: Database, event: Event) -> None:
    """A service that replaces another works."""
    with database.write() as conn:
        owner = accounts.get(conn, event.data["account"])
        on = local_date(event.occurred_at, owner.timezone)
        replacing.activated(conn, event.data["service"], on, event.actor)


def _why(event: Event) -> str:
    problems = event.data.get("problems") or []
    state = event.type.removeprefix("changeset.")
    said = "; ".join(str(one.get("message", one)) if isinstance(one, dict) else str(one) for one in problems)
    return f"its change set was {state}" + (f": {said}" if said else "")
