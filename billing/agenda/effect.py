"""What the next bill of an account would bring for what its timelines say now."""

from datetime import date

from sqlalchemy.engine import Connection

from billing.accounts import Account
from billing.billrun import _work
from core.money import Money


def pending(conn: Connection, owner: Account, on: date) -> Money:
    """What a run on a day would post minus what it would take back, as listed (before tax, where that comes on top)."""
    total = 0
    for work in _work(conn, [owner], on)[owner.id]:
        total += sum(part.amount.minor for part, _ in work.difference.post)
        total -= sum(one.slice.amount.minor for one in work.difference.reverse)
    return owner.money(total)
