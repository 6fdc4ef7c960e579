"""What prepaid hears."""

from billing.wallet import holds, models, prepaid  # noqa: F401  (models: its tables)
from core import events
from core.db import Database
from core.events import Event


@events.on("hold.added")
def hold_added(database: Database, event: Event) -> None:
    """Learn of a hold that came."""
    if event.data["reason"] == holds.REASON:
        with database.write() as conn:
            holds.heard(conn, event.data["service"], held=True, set_id=event.data.get("set_id"))


@events.on("hold.removed")
def hold_removed(database: Database, event: Event) -> None:
    """Learn of a hold that went."""
    if event.data["reason"] == holds.REASON:
        with database.write() as conn:
            holds.heard(conn, event.data["service"], held=False, set_id=event.data.get("set_id"))


@events.on("changeset.rejected")
@events.on("changeset.conflicted")
def change_set_refused(database: Database, event: Event) -> None:
    """Learn that a change set of ours did not land."""
    with database.write() as conn:
        holds.refused(conn, event.data["set_id"])


@events.on("service.ceased")
def service_ceased(database: Database, event: Event) -> None:
    """No further period is bought."""
    with database.write() as conn:
        prepaid.cease(conn, event.data["service"])
