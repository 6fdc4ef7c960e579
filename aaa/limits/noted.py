"""What a batch of accounting means for limits: gathered record by record, written once, in the batch's transaction."""

from typing import TYPE_CHECKING

from sqlalchemy.engine import Connection

from aaa.limits import crowd, quota, vouchers
from aaa.limits.crowd import Rule, mac_of
from aaa.limits.limit import VOUCHER_ID

if TYPE_CHECKING:
    from datetime import datetime

    from aaa.accounting.merge import Session
    from aaa.accounting.record import AccountingRecord


class Noted:
    """A batch in progress. `take` after each merge; `settle` when the sessions are written, as the last thing."""

    def __init__(self) -> None:
        self._metered: dict[str, tuple[datetime, int, int, int, bool]] = {}
        self._rules: dict[str, Rule] = {}
        self._new: list[str] = []
        self._vouchers: dict[str, tuple[datetime, str]] = {}

    def take(
        self, record: "AccountingRecord", before: "Session | None", after: "Session", up: int, down: int
    ) -> None:
        """One record was merged and newly brought these octets; `before` None: its session is new."""
        if not after.service:
            return
        if before is None:
            self._new.append(after.session_ref)
        turned = before is None or before.state != after.state
        if turned and (after.state == "open" or record.reject):
            self._rules[after.service] = Rule(record.most, record.reject)
            if after.service.startswith(VOUCHER_ID) and after.state == "open":
                self._vouchers.setdefault(after.service, (after.started_at, mac_of(after.calling).decode()))
        if record.metered:
            self._meter(before, after, up, down)

    def settle(self, conn: Connection) -> None:
        """Write what follows. Nothing for a batch of interims of services without quota."""
        quota.note(conn, [(service, *told) for service, told in sorted(self._metered.items())])
        crowd.settle(conn, self._rules, self._new)
        if self._vouchers:
            vouchers.begun(conn, self._vouchers)

    def _meter(self, before: "Session | None", after: "Session", up: int, down: int) -> None:
        seconds = after.session_time - (before.session_time if before is not None else 0)
        ended = after.state == "closed" and (before is None or before.state != "closed")
        if not (up or down or seconds or ended):
            return
        at, had_up, had_down, had_seconds, was_over = self._metered.get(
            after.service, (after.updated_at, 0, 0, 0, False)
        )
        self._metered[after.service] = (
            max(at, after.updated_at), had_up + up, had_down + down, had_seconds + seconds, was_over or ended
        )  # fmt: skip
