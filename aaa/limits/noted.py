"""What a batch of accounting means for limits: gathered record by record, written once, in the batch's transaction."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy.engine import Connection

from aaa.limits import crowd, quota, vouchers
from aaa.limits.crowd import Rule, mac_of
from aaa.limits.limit import VOUCHER_ID

if TYPE_CHECKING:
    from aaa.accounting.light import AnyRecord
    from aaa.accounting.merge import Session
    from aaa.accounting.record import AccountingRecord


class Noted:
    """A batch in progress. `take` after each merge; `count` in the transaction that writes the sessions; `settle` after
    its commit, for several batches at once if they are `join`ed.
    """

    def __init__(self) -> None:
        self._metered: list[tuple[str, datetime, int, int, int, bool]] = []
        self._rules: dict[str, Rule] = {}
        self._new: list[str] = []
        self._vouchers: dict[str, tuple[datetime, str]] = {}

    def take(
        self, record: "AccountingRecord", before: "Session | None", after: "Session", up: int, down: int
    ) -> None:
        """One record was merged and newly brought these octets; `before` None: its session is new."""
        if not after.service:
            return
        # A Start that comes behind the first interim says only then from which circuit the session is.
        shows = before is None or bool(after.circuit and not before.circuit)
        if shows:
            self._new.append(after.session_ref)
        turned = before is None or before.state != after.state or shows
        if turned and (after.state == "open" or record.reject):
            self._rules[after.service] = Rule(record.most, record.reject, record.door)
            if after.service.startswith(VOUCHER_ID) and after.state == "open":
                self._vouchers.setdefault(after.service, (after.started_at, mac_of(after.calling).decode()))
        if record.metered and record.counts:
            self._meter(record.at, before, after, up, down)

    def begun(self, record: "AnyRecord", ref: str) -> None:
        """A Start made this session, of a service that is no voucher."""
        self._new.append(ref)
        self._rules[record.service] = Rule(record.most, record.reject, record.door)

    def __bool__(self) -> bool:
        """Whether there is anything to settle."""
        return bool(self._rules or self._vouchers)

    @property
    def replacing(self) -> list[str]:
        """Services with a session more, of which the oldest would be replaced; those that refuse are not here."""
        return sorted(name for name, rule in self._rules.items() if not rule.reject)

    def join(self, later: "Noted") -> None:
        """Take over what a later batch has to settle; what it has to count it has counted."""
        self._rules |= later._rules
        self._new += later._new
        self._vouchers = later._vouchers | self._vouchers

    def count(self, conn: Connection) -> None:
        """Leave the octets of metered services for the next count. Nothing for services without quota.

        Each record's by themselves, at its own moment: a batch may have records of both sides of a period's end.
        """
        quota.note(conn, sorted(self._metered))

    def settle(self, conn: Connection, crowded: Iterable[str]) -> None:
        """Settle the services that refuse, and those of the others that are `crowded`."""
        several = set(crowded)
        rules = {name: rule for name, rule in self._rules.items() if rule.reject or name in several}
        crowd.settle(conn, rules, self._new)
        if self._vouchers:
            vouchers.begun(conn, self._vouchers)

    def _meter(self, at: float, before: "Session | None", after: "Session", up: int, down: int) -> None:
        seconds = after.session_time - (before.session_time if before is not None else 0)
        ended = after.state == "closed" and (before is None or before.state != "closed")
        if up or down or seconds or ended:
            moment = datetime.fromtimestamp(at, UTC)
            self._metered.append((after.service, moment, up, down, seconds, ended))
