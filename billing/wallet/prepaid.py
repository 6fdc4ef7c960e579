"""Prepaid services: ordered, open while their period is bought, in grace, lapsed; a top-up buys and releases at once.

Such a service has a subscription whose item has no timeline: the bill run has nothing to bill. Its periods are bought
by `purchase`. While one is bought, RADIUS has a grant that ends with it (`aaa.limits.quota`).
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts
from billing.accounts import Account
from billing.periods import days_after
from billing.timeline import Terms
from billing.wallet import balance as wallet
from billing.wallet import holds, purchase, records
from billing.wallet.errors import NotPrepaid, PrepaidNotUsable
from billing.wallet.models import prepaid_service
from core import clock, db, events
from core.errors import Terminal
from core.money import Money
from intents.reader import Reader

ORDERED, OPEN, GRACE, LAPSED, CEASED = "ordered", "open", "grace", "lapsed", "ceased"
OWED = "owed"
"""Bought with money that the bank took back: held until the wallet is out of the red."""
Row = Any


class Bought(msgspec.Struct, frozen=True):
    """A period that was bought: `until` is exclusive, `invoice` its number."""

    service: str
    invoice: str
    total: Money
    start: date
    until: date


class Renewed(msgspec.Struct, frozen=True):
    """What was bought, the change sets that release services, and what could not be bought, with the reason."""

    bought: tuple[Bought, ...] = ()
    set_ids: tuple[str, ...] = ()
    refused: dict[str, str] = {}


def order(
    conn: Connection, reader: Reader, service: str, account: str, terms: Terms, *, grace_days: int = 0
) -> bool:
    """Note that a service of a prepaid plan will be prepaid; returns whether the plan is one. Again adds nothing."""
    plan = reader.get("plan", terms.plan)
    if plan is None or plan.prepaid is None:
        return False
    row = {
        "service": service, "account_id": account, "state": ORDERED, "plan_name": plan.name or terms.plan,
        "terms": msgspec.to_builtins(terms), "exhausted": plan.prepaid.exhausted, "grace_days": grace_days,
        "held": False, "lifted": False, "changed_at": clock.now(),
    }  # fmt: skip
    db.upsert(conn, prepaid_service, [row], ["service"], [])
    return True


def start(conn: Connection, service: str, on: date, actor: str) -> bool:
    """Activation is confirmed: buy the first period if the wallet has it; returns whether the service is prepaid."""
    row = find(conn, service)
    if row is None:
        return False
    owner = accounts.lock(conn, row.account_id)
    row = get(conn, service)
    if row.state == ORDERED:
        records.subscribe(conn, owner, service, on)
        _set(conn, service, state=LAPSED)
        renew(conn, owner, max(on, owner.today), cause=service, actor=actor)
    return True


def renew(conn: Connection, owner: Account, day: date, *, cause: str, actor: str) -> Renewed:
    """Buy what is due and the wallet has, release what was held for it. `owner` is locked; again buys nothing more.

    What ended first comes first. A service that cannot be bought for another reason than money is named.
    """
    bought: list[Bought] = []
    freed = _made_good(conn, owner, day)
    refused: dict[str, str] = {}
    for row in _due(conn, owner, day):
        try:
            given = purchase.offer(conn, owner, row, day)
        except Terminal as error:
            refused[row.service] = str(error)
            continue
        while day >= given.period.start and given.total.minor <= wallet.balance(conn, owner).minor:
            number = purchase.buy(conn, owner, row, given, day, actor)
            bought.append(_opened(conn, owner, row, given, number, actor))
            freed += [row.service] if row.held else []
            row = get(conn, row.service)
            given = purchase.offer(conn, owner, row, day)
    return Renewed(tuple(bought), holds.release(conn, freed, cause), refused)


def lapse(conn: Connection, owner: Account, day: date) -> list[Row]:
    """What was not bought is in grace, then lapsed; returns the lapsed services that are to be held. It is locked."""
    owed = _mine(owner).where(prepaid_service.c.state == OWED).order_by(prepaid_service.c.service)
    wanted = [row for row in conn.execute(owed) if not (row.held or row.lifted)]
    for row in _due(conn, owner, day):
        within = row.paid_until is not None and day < days_after(row.paid_until, row.grace_days)
        state = GRACE if within else LAPSED
        if state != row.state:
            _set(conn, row.service, state=state)
            told = {"service": row.service, "account": owner.id, "paid_until": str(row.paid_until)}
            events.emit(conn, f"prepaid.{state}", row.service, told, actor="billing")
        if state == LAPSED and not (row.held or row.lifted):
            wanted.append(row)
    return wanted


def owe(conn: Connection, owner: Account) -> list[Row]:
    """The wallet is in the red: what is bought is owed; returns the services that are to be held. It is locked."""
    running = _mine(owner).where(prepaid_service.c.state.in_([OPEN, GRACE]))
    for row in conn.execute(running).all():
        _set(conn, row.service, state=OWED)
        told = {"service": row.service, "account": owner.id, "paid_until": str(row.paid_until)}
        events.emit(conn, "prepaid.owed", row.service, told, actor="billing")
    query = _mine(owner).where(prepaid_service.c.state == OWED, ~prepaid_service.c.held)
    return list(conn.execute(query.order_by(prepaid_service.c.service)).all())


def _made_good(conn: Connection, owner: Account, day: date) -> list[str]:
    """Out of the red, what was bought is open again until its end; returns the services to release."""
    if wallet.balance(conn, owner).minor < 0:
        return []
    freed = []
    for row in conn.execute(_mine(owner).where(prepaid_service.c.state == OWED)).all():
        if row.paid_until is None or row.paid_until <= day:
            _set(conn, row.service, state=LAPSED, lifted=False)
            continue
        _set(conn, row.service, state=OPEN, held=False, lifted=False)
        freed += [row.service] if row.held else []
    return freed


def warn(conn: Connection, owner: Account, day: date, days: int) -> list[str]:
    """Tell, once a period, of services whose next period begins within `days` and that the wallet does not have."""
    told = []
    left = wallet.balance(conn, owner)
    query = _mine(owner).where(prepaid_service.c.state == OPEN)
    for row in conn.execute(query.where(prepaid_service.c.paid_until <= days_after(day, days))):
        if row.warned_for == row.paid_until or row.paid_until <= day:
            continue
        needed = purchase.offer(conn, owner, row, row.paid_until).total
        left = owner.money(left.minor - needed.minor)
        if left.minor >= 0:
            continue
        _set(conn, row.service, warned_for=row.paid_until)
        said = {
            "service": row.service, "account": owner.id, "until": str(row.paid_until),
            "missing": -left.minor, "currency": owner.currency,
        }  # fmt: skip
        events.emit(conn, "wallet.low", owner.id, said, actor="billing")
        told.append(row.service)
    return told


def change_plan(conn: Connection, reader: Reader, service: str, terms: Terms) -> None:
    """The next period is bought at other terms; what is bought stays as it is. Raises NotPrepaid, PrepaidNotUsable."""
    row = get(conn, service)
    accounts.lock(conn, row.account_id)
    plan = reader.get("plan", terms.plan)
    if plan is None or plan.prepaid is None:
        raise PrepaidNotUsable(
            service, f"plan {terms.plan} is not prepaid; cease the service and order it anew"
        )
    _set(
        conn, service, terms=msgspec.to_builtins(msgspec.structs.replace(terms, setup=None)),
        plan_name=plan.name or terms.plan, exhausted=plan.prepaid.exhausted,
    )  # fmt: skip


def restore_terms(conn: Connection, service: str, terms: Terms) -> None:
    """A plan change was refused: the next period costs what it did. Raises NotPrepaid."""
    get(conn, service)
    _set(conn, service, terms=msgspec.to_builtins(terms))


def cease(conn: Connection, service: str) -> None:
    """The service has ended; what was bought is not given back."""
    if find(conn, service) is not None:
        _set(conn, service, state=CEASED)


def set_grace(conn: Connection, service: str, days: int, *, actor: str) -> None:
    """How many days a service goes on unpaid after its last day. Raises NotPrepaid, PrepaidNotUsable."""
    row = get(conn, service)
    if not 0 <= days <= 31:
        raise PrepaidNotUsable(service, f"{days} days of grace cannot be given; choose 0 to 31")
    owner = accounts.lock(conn, row.account_id)
    row = get(conn, service)
    _set(conn, service, grace_days=days)
    if row.state == OPEN:
        records.grant(conn, owner, service, row.paid_until, days, actor)
    told = {"service": service, "account": row.account_id, "days": days}
    events.emit(conn, "prepaid.grace-set", service, told, actor=actor)


def find(conn: Connection, service: str) -> Row | None:
    """The row of a prepaid service; None for any other."""
    return conn.execute(sa.select(prepaid_service).where(prepaid_service.c.service == service)).first()


def get(conn: Connection, service: str) -> Row:
    """The row of a prepaid service. Raises NotPrepaid."""
    row = find(conn, service)
    if row is None:
        raise NotPrepaid(service)
    return row


def _opened(
    conn: Connection, owner: Account, row: Row, given: purchase.Offer, number: str, actor: str
) -> Bought:
    """Remember the period, and let RADIUS know until when."""
    period = given.period
    _set(
        conn,
        row.service,
        state=OPEN,
        rhythm_from=given.rhythm,
        paid_until=period.end,
        held=False,
        lifted=False,
    )
    records.grant(conn, owner, row.service, period.end, row.grace_days, actor)
    told = {
        "service": row.service, "account": owner.id, "invoice": number, "from": str(period.start),
        "until": str(period.end), "amount": given.total.minor, "currency": owner.currency,
    }  # fmt: skip
    events.emit(conn, "prepaid.bought", row.service, told, actor=actor)
    return Bought(row.service, number, given.total, period.start, period.end)


def _due(conn: Connection, owner: Account, day: date) -> Sequence[Row]:
    paid = prepaid_service.c.paid_until
    query = _mine(owner).where(
        prepaid_service.c.state.in_([OPEN, GRACE, LAPSED]), sa.or_(paid.is_(None), paid <= day)
    )
    return conn.execute(query.order_by(sa.func.coalesce(paid, day), prepaid_service.c.service)).all()


def _mine(owner: Account) -> "sa.Select[Any]":
    return sa.select(prepaid_service).where(prepaid_service.c.account_id == owner.id)


def _set(conn: Connection, service: str, **values: Any) -> None:
    chosen = prepaid_service.c.service == service
    conn.execute(sa.update(prepaid_service).where(chosen).values(**values, changed_at=clock.now()))
