"""A stored method that has ended at the gateway: autopay ends with it, or goes on with the one that replaces it."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts
from billing.gateways.models import autopay
from core import events


def ended(conn: Connection, gateway: str, method: str, instead: str, why: str, *, actor: str) -> list[str]:
    """Switch autopay by this method off, or over to `instead`; returns the accounts. Again: none.

    Events: `autopay.off` with the reason, for whoever asks the customer for another; `autopay.moved`.
    """
    mine = sa.and_(autopay.c.gateway == gateway, autopay.c.method == method)
    found = list(
        conn.execute(sa.select(autopay.c.account_id).where(mine).order_by(autopay.c.account_id)).scalars()
    )
    for account in found:
        accounts.lock(conn, account)
        this = sa.and_(mine, autopay.c.account_id == account)
        if instead:
            conn.execute(sa.update(autopay).where(this).values(method=instead))
        else:
            conn.execute(sa.delete(autopay).where(this))
        said = {"gateway": gateway, "why": why}
        events.emit(conn, "autopay.moved" if instead else "autopay.off", account, said, actor=actor)
    return found
