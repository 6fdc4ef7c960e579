"""What a whole run asks again and again, asked once: tax rates on its date, names of plans."""

import threading
from datetime import date

from sqlalchemy.engine import Connection

from billing import taxes
from billing.tax import Rate
from intents.reader import Reader


class Known:
    """Shared by the threads of a run; a repository is read by one of them at a time."""

    def __init__(self, reader: Reader, on: date) -> None:
        self.reader, self.on = reader, on
        self._rates: dict[tuple[str, str], Rate] = {}
        self._names: dict[str, str] = {}
        self._lock = threading.Lock()

    def rate(self, conn: Connection, profile: str, category: str) -> Rate:
        """The rate in force. Raises TaxRateMissing."""
        found = self._rates.get((profile, category))
        if found is None:
            found = self._rates[profile, category] = taxes.rate_on(conn, profile, category, self.on)
        return found

    def name(self, plan: str) -> str:
        """What a customer knows a plan, or an offer, by."""
        found = self._names.get(plan)
        if found is None:
            with self._lock:
                value = self.reader.get("plan", plan) or self.reader.get("offer", plan)
            found = self._names[plan] = str(getattr(value, "name", None) or plan)
        return found
