"""What is paid and never used: expired vouchers and idle wallets leave the liabilities by a rule of the legal entity.

A rule is data: after how many days, and to which account of the books: income (`revenue:breakage`), or where the law
keeps it for its owner or the state a liability of its own (`unclaimed:wallet`). Without a rule nothing moves.
"""

from collections.abc import Iterator
from datetime import date, timedelta

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts
from billing.accounts import Account
from billing.books import chart
from billing.errors import LedgerAccountUnknown
from billing.ledger import Books, Entry, book
from billing.wallet import balance as wallet
from billing.wallet import prepaid, topping
from billing.wallet.errors import BreakageNotUsable
from billing.wallet.models import (
    breakage_rule,
    prepaid_service,
    voucher_breakage,
    wallet_movement,
    wallet_voucher,
    wallet_voucher_batch,
)
from core import clock, db, events, faults, ids
from core.db import Database
from core.money import Money

VOUCHER, WALLET = "voucher", "wallet"
USING = (prepaid.ORDERED, prepaid.OPEN, prepaid.GRACE, prepaid.OWED)
"""Services in these states may still use what is in the wallet."""
_EVERYWHERE = 2
"""Days after a day's date at UTC until it has passed twelve hours west, too."""
_CHUNK = 500
_MOVED = (
    wallet.TOP_UP,
    wallet.VOUCHER,
    wallet.FEE,
    wallet.PAYOUT,
    wallet.RETURNED,
    wallet.WON,
    wallet.RESTORED,
)
P_BROKEN = faults.declare("billing.after_breakage")


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """`days` after a voucher's last day, or after the last movement of a wallet; `ledger`: where it goes."""

    legal_entity: str
    what: str
    days: int
    ledger: str


class Broken(msgspec.Struct, frozen=True):
    """What left the liabilities: of a batch of vouchers, or of an account's wallet."""

    what: str
    of: str
    amount: Money
    ledger: str


def set_rule(conn: Connection, rule: Rule, *, actor: str) -> None:
    """Set the rule of a legal entity for vouchers or wallets. Raises BreakageNotUsable."""
    least = 1 if rule.what == VOUCHER else 90
    if rule.what not in (VOUCHER, WALLET):
        raise BreakageNotUsable(rule.what, f"there is none; choose {VOUCHER} or {WALLET}")
    if not least <= rule.days <= 36_500:
        raise BreakageNotUsable(rule.what, f"{rule.days} days cannot be; choose {least} to 36500")
    try:
        kind = chart.type_of(rule.ledger)
    except LedgerAccountUnknown as error:
        raise BreakageNotUsable(rule.what, str(error)) from error
    if kind not in ("Income", "Liabilities") or rule.ledger in (wallet.WALLET, wallet.VOUCHERS):
        raise BreakageNotUsable(rule.what, f"'{rule.ledger}' is neither income nor another liability")
    row = {**msgspec.to_builtins(rule), "actor": actor, "recorded_at": clock.now()}
    db.upsert(conn, breakage_rule, [row], ["legal_entity", "what"])
    events.emit(conn, "breakage.rule", rule.legal_entity, msgspec.to_builtins(rule), actor=actor)


def drop_rule(conn: Connection, legal_entity: str, what: str, *, actor: str) -> bool:
    """From now on nothing of it expires in the books; returns whether there was a rule."""
    mine = sa.and_(breakage_rule.c.legal_entity == legal_entity, breakage_rule.c.what == what)
    gone = bool(conn.execute(sa.delete(breakage_rule).where(mine)).rowcount)
    if gone:
        events.emit(conn, "breakage.rule-dropped", legal_entity, {"what": what}, actor=actor)
    return gone


def rules(conn: Connection) -> list[Rule]:
    """All rules."""
    rows = conn.execute(sa.select(breakage_rule).order_by(breakage_rule.c.legal_entity, breakage_rule.c.what))
    return [
        Rule(legal_entity=row.legal_entity, what=row.what, days=row.days, ledger=row.ledger) for row in rows
    ]


def run(database: Database, on: date | None = None, *, actor: str, dry: bool = False) -> list[Broken]:
    """Move what expired by `on` (default: today where each wallet lives), each once; again moves nothing more."""
    with database.read() as conn:
        known = rules(conn)
    done: list[Broken] = []
    for rule in known:
        done += (_vouchers if rule.what == VOUCHER else _wallets)(database, rule, on, actor, dry)
    return done


def restore(conn: Connection, account: str, *, actor: str, on: date | None = None) -> topping.TopUp:
    """A customer comes for what expired of their wallet: the last breakage is given back. Again: the one before it.

    Raises AccountUnknown, BreakageNotUsable.
    """
    owner = accounts.lock(conn, account)
    given = sa.select(wallet_movement.c.source).where(
        wallet_movement.c.kind == wallet.RESTORED, wallet_movement.c.account_id == account
    )
    mine = sa.and_(
        wallet_movement.c.kind == wallet.BREAKAGE, wallet_movement.c.account_id == account,
        wallet_movement.c.id.not_in(given),
    )  # fmt: skip
    row = conn.execute(sa.select(wallet_movement).where(mine).order_by(wallet_movement.c.id.desc())).first()
    if row is None:
        raise BreakageNotUsable(WALLET, f"nothing expired of account {account} that was not given back")
    amount, day = owner.money(-row.amount), on or owner.today
    ledger = row.source.split(":", 1)[1]
    wallet.move(conn, owner, wallet.RESTORED, row.id, amount, ledger, on=day, actor=actor)
    return topping.credited(conn, owner, amount, day, "restored", actor)


def is_broken(conn: Connection, batch: str) -> bool:
    """Whether what was left of a batch of vouchers has expired in the books: then none is redeemed any more."""
    return (
        conn.execute(sa.select(voucher_breakage.c.batch).where(voucher_breakage.c.batch == batch)).first()
        is not None
    )


def _vouchers(database: Database, rule: Rule, on: date | None, actor: str, dry: bool) -> Iterator[Broken]:
    """Sold batches whose last day has passed everywhere on earth; unsold vouchers are no liability."""
    batch, day = wallet_voucher_batch.c, on or clock.now().date()
    known = sa.select(voucher_breakage.c.batch)
    query = sa.select(batch.name).where(
        batch.legal_entity == rule.legal_entity, batch.sold_on.is_not(None), batch.voided_at.is_(None),
        batch.expires_on <= day - timedelta(days=max(rule.days, _EVERYWHERE)), batch.name.not_in(known),
    )  # fmt: skip
    with database.read() as conn:
        names = list(conn.execute(query.order_by(batch.name)).scalars())
    for name in names:
        with database.write() as conn:
            found = _break_batch(conn, name, rule, day, actor, dry)
        if found is not None:
            faults.point(P_BROKEN)
            yield found


def _break_batch(conn: Connection, name: str, rule: Rule, day: date, actor: str, dry: bool) -> Broken | None:
    query = sa.select(wallet_voucher_batch).where(wallet_voucher_batch.c.name == name)
    row = conn.execute(db.lock_row(conn, query)).one()  # nobody redeems one meanwhile
    if is_broken(conn, name):
        return None
    left = sa.select(sa.func.count()).select_from(wallet_voucher).where(
        wallet_voucher.c.batch == name, wallet_voucher.c.redeemed_at.is_(None)
    )  # fmt: skip
    count = int(conn.execute(left).scalar_one())
    amount = Money(row.amount * count, row.currency)
    if dry:
        return Broken(VOUCHER, name, amount, rule.ledger)
    values = {
        "batch": name, "count": count, "amount": amount.minor, "ledger": rule.ledger, "booked_on": day,
        "actor": actor, "recorded_at": clock.now(),
    }  # fmt: skip
    conn.execute(sa.insert(voucher_breakage).values(**values))
    entries = [Entry(wallet.VOUCHERS, amount), Entry(rule.ledger, -amount)]
    book(conn, Books(row.legal_entity), "voucher-breakage", name, day, entries)
    told = {"count": count, "amount": amount.minor, "currency": amount.currency, "ledger": rule.ledger}
    events.emit(conn, "wallet-vouchers.expired", name, told, actor=actor)
    return Broken(VOUCHER, name, amount, rule.ledger)


def _wallets(database: Database, rule: Rule, on: date | None, actor: str, dry: bool) -> Iterator[Broken]:
    """Wallets with money that nothing moved for so long, of accounts without a service that may still use it."""
    after = ""
    while True:
        with database.read() as conn:
            found = _idle(conn, rule, on, after)
        for name in found:
            with database.write() as conn:
                owner = accounts.lock(conn, name)
                broken = _break_wallet(conn, owner, rule, on or owner.today, actor, dry)
            if broken is not None:
                faults.point(P_BROKEN)
                yield broken
        if len(found) < _CHUNK:
            return
        after = found[-1]


def _idle(conn: Connection, rule: Rule, on: date | None, after: str) -> list[str]:
    from billing.models import account

    day = on or (clock.now() + timedelta(hours=14)).date()
    total, last = sa.func.sum(wallet_movement.c.amount), sa.func.max(wallet_movement.c.moved_on)
    query = sa.select(account.c.id).join(wallet_movement, wallet_movement.c.account_id == account.c.id)
    query = query.where(account.c.legal_entity == rule.legal_entity, account.c.id > after)
    query = query.group_by(account.c.id).having(total > 0, last <= day - timedelta(days=rule.days))
    return list(conn.execute(query.order_by(account.c.id).limit(_CHUNK)).scalars())


def _break_wallet(
    conn: Connection, owner: Account, rule: Rule, day: date, actor: str, dry: bool
) -> Broken | None:
    there = wallet.balance(conn, owner)
    mine = wallet_movement.c.account_id == owner.id
    last = conn.execute(
        sa.select(sa.func.max(wallet_movement.c.moved_on)).where(mine, wallet_movement.c.kind.in_(_MOVED))
    ).scalar()
    using = sa.select(prepaid_service.c.service).where(
        prepaid_service.c.account_id == owner.id, prepaid_service.c.state.in_(USING)
    )
    if there.minor <= 0 or last is None or last > day - timedelta(days=rule.days):
        return None
    if conn.execute(using.limit(1)).first() is not None:
        return None
    if not dry:
        source = f"{ids.new_id('brk')}:{rule.ledger}"
        wallet.move(conn, owner, wallet.BREAKAGE, source, -there, rule.ledger, on=day, actor=actor)
        told = {
            "amount": there.minor,
            "currency": there.currency,
            "ledger": rule.ledger,
            "idle_since": str(last),
        }
        events.emit(conn, "wallet.expired", owner.id, told, actor=actor)
    return Broken(WALLET, owner.id, there, rule.ledger)
