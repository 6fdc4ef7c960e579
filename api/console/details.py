"""What the pages of single things show."""

from typing import Any

from api.customers import view as customers
from api.devices import view as devices
from api.here import Installed
from api.invoices import view as invoices
from api.services import view as services
from api.sets import held
from billing import accounts, subscriptions
from core.ids import new_id
from intents.queue import ChangeSetMissing
from reconciler import baselines, receipts, runs

_MOST = 20


def device(here: Installed, name: str) -> dict[str, Any]:
    """A device. Raises NotThere."""
    with here.context.reader() as reader, here.context.db.read() as conn:
        state = devices.device_state(reader, conn, name)
        found = devices.runs_of(conn, name, 5)
        return {
            "device": state,
            "steps": runs.steps(conn, found[0].run_id) if found else [],
            "diff": devices.last_diff(found),
            "drift_diff": baselines.drifted(conn).get(name, ("", ""))[1],
            "receipts": receipts.of_target(conn, name, _MOST),
        }


def service(here: Installed, name: str, personal: bool) -> dict[str, Any]:
    """A service; sessions and refusals, which are somebody's, only where `personal`. Raises NotThere."""
    state = services.service_state(here, name)
    with here.context.db.read() as conn:
        return {
            "service": state,
            "sessions": services.sessions(conn, name) if personal else None,
            "refusals": services.refusals(conn, name, state.login) if personal else [],
            "receipts": services.receipts_of(conn, name),
        }


def change_set(here: Installed, set_id: str) -> dict[str, Any]:
    """A change set. Raises ChangeSetMissing."""
    with here.context.db.read() as conn:
        row = held.set_row(conn, set_id)
        if row is None:
            raise ChangeSetMissing(set_id)
        told = receipts.of_commit(conn, row["commit_id"]) if row["commit_id"] else []
        return {
            "set": row,
            "changes": held.changes(conn, set_id),
            "count": held.count_of(conn, set_id),
            "receipts": told[:_MOST],
        }


def customer(here: Installed, name: str) -> dict[str, Any]:
    """A customer with invoices by account. Raises CustomerUnknown."""
    with here.context.reader() as reader, here.context.db.read() as conn:
        found = customers.customer(here, conn, name)
        theirs = [one.id for one in accounts.of_customer(conn, name)]
        for one in found["accounts"]:
            one["invoices"] = invoices.newest(conn, one["id"], customers.today(reader), _MOST)
        billed = subscriptions.services_of(conn, theirs) if theirs else {}
    return {
        "customer": found,
        "services": sorted(service for group in billed.values() for service in group),
        "payment_key": new_id("console"),
    }
