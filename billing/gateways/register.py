"""What gateways register: their tables, and that a refund which goes back through one is asked for.

The jobs that ask are put together where secrets can be opened.
"""

import billing.gateways.models  # noqa: F401
from billing.gateways import givebacks
from core import events
from core.db import Database
from core.events import Event


@events.on("refund.requested")
def ask(database: Database, event: Event) -> None:
    """Queue it. Again: one job."""
    with database.write() as conn:
        givebacks.queue(conn, event.data["refund"])
