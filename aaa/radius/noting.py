"""What an accounting record is told of its service: the policy that is wanted, limits, whose it is."""

import msgspec

from aaa.accounting.record import AccountingRecord
from aaa.limits.limit import VOUCHER_ID
from aaa.view.records import Wanted

OTHERS = tuple(kind.to_bytes(4) for kind in range(9, 16))
"""Acct-Status-Types that say nothing of a session: tunnels and their links (RFC 2867), Failed (RFC 2866)."""
GONE = "gone"
"""Stands for the policy of a service that the view does not have."""


def is_usual(wanted: Wanted | None) -> bool:
    """Whether limits have nothing to know of its sessions but their number of one."""
    return wanted is None or (
        wanted.limit == 1 and wanted.over == "replace" and not (wanted.metered or wanted.door)
    )


def hash_of(service: str, wanted: Wanted | None) -> str:
    """The policy that the view wants; "gone" for a service that it does not have, "" for none."""
    return wanted.policy_hash if wanted is not None else GONE if service else ""


def noting(record: AccountingRecord, circuit: bytes, service: str, wanted: Wanted | None) -> AccountingRecord:
    """The record with what only some need: the service of a NAS that loses Class, where a session begins, limits."""
    if service == record.service and not circuit and is_usual(wanted) and not service.startswith(VOUCHER_ID):
        return record
    return msgspec.structs.replace(
        record,
        service=service,
        wanted_hash=hash_of(service, wanted),
        # A voucher's code is kept nowhere: its sessions are named by its id.
        login=service if service.startswith(VOUCHER_ID) else record.login,
        circuit=circuit,
        most=wanted.limit if wanted else 1,
        reject=wanted is not None and wanted.over == "reject",
        metered=wanted is not None and wanted.metered,
        door=wanted.door if wanted else "",
    )
