"""What more befalls money in the simulated year: autopay by card and by debit, prepaid, offers, add-ons, metered use,
refunds, chargebacks, write-offs. Drawn from the seed and the account's number, as the rest of the story.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from msgspec.structs import replace
from sqlalchemy.engine import Connection

from aaa.models import usage_day
from bench.year_events import CURRENCIES, FIRST, NEAR_MIDNIGHT, Step, Who
from bench.year_gateway import GATEWAY, YearGateway
from billing import debts, undoing
from billing.errors import TimelineNotUsable
from billing.gateways import asking, autopay, recording
from billing.gateways.models import UNDECIDED, attempt
from billing.models import dunning_run, payment
from billing.offers import addons, giving
from billing.offers.errors import GivenBefore, NotActive, NotHad, PromotionRefused
from billing.rating.running import rate
from billing.refunding import chargebacks, refunds
from billing.refunding.errors import ChargebackUnknown, NotRefundable
from billing.refunding.found import RECEIPT
from billing.refunding.models import chargeback
from billing.timeline import state_on
from billing.wallet import prepaid, topping
from billing.wallet.running import run_prepaid
from billing.writeoffs import writing
from core.jobs import Job
from core.money import Money
from intents.config.schema import Config, Operator
from intents.offer.schema import Offer
from intents.plan.schema import Plan, Prepaid, Price, Usage
from intents.scalars import Amount

if TYPE_CHECKING:
    from bench.year_world import Year

GB = 10**9
_UNDOING = 17
_MONTHLY = (
    ("first", "promotion", 0.15), ("first", "add-on", 0.15), ("first", "no add-on", 0.05), ("account", "refund", 0.2),
    ("account", "chargeback", 0.05), ("account", "write off", 0.3), ("account", "chargeback won", 0.03),
)  # fmt: skip
"""What may befall an account or its first service in a month, and how likely it is."""
_Do = Callable[["Year", Connection, Any, Step], None]


def ways(seed: int, who: Who) -> str:
    """How an account pays: `card`, `debit`, or by `hand`."""
    return random.Random(f"{seed}:{who.number}:way").choice(("card", "debit", "hand", "hand", "hand"))


def story(seed: int, who: Who, days: int) -> Iterator[Step]:
    """What befalls the account's money within so many days."""
    chance = random.Random(f"{seed}:{who.number}:money")
    first, account = f"S-{who.number}-1", f"A-{who.number}"

    def step(at: int, service: str, what: str, **said: Any) -> Step:
        day = FIRST + timedelta(days=at)
        moment = datetime.combine(day, chance.choice(NEAR_MIDNIGHT), ZoneInfo(who.zone))
        return Step(f"{service}:{what}:{at}", day, moment, what, who.number, service, said)

    for at in range(20, days, 30):
        for number, (service, what, share) in enumerate(_MONTHLY):
            if chance.random() < share:
                named = first if service == "first" else account
                yield step(
                    at + number,
                    named,
                    what,
                    share=chance.choice((1, 2)),
                    offer=chance.choice(("half", "tenner")),
                )
    if chance.random() < 0.2:
        yield from _prepaid(chance, who, days, step)
    if chance.random() < 0.3:
        yield from _metered(chance, who, days, step)


def _prepaid(chance: random.Random, who: Who, days: int, step: Callable[..., Step]) -> Iterator[Step]:
    service, start = f"P-{who.number}", chance.randrange(0, max(1, days // 2))
    yield step(start, service, "prepaid")
    for at in range(start, days, 10):
        if chance.random() < 0.4:
            yield step(at, service, "top-up", share=chance.choice((1, 2, 3)))


def _metered(chance: random.Random, who: Who, days: int, step: Callable[..., Step]) -> Iterator[Step]:
    service, start = f"M-{who.number}", chance.randrange(0, max(1, days // 2))
    yield step(start, service, "activate", plan="metered")
    for at in range(start, days, 7):
        late = chance.choice((0, 0, 0, 35))  # records that come after their month was billed
        octets = chance.randrange(1, 40 * GB)
        yield step(min(at + late, days), service, "use", on=str(FIRST + timedelta(days=at)), octets=octets)


def open_autopay(conn: Connection, account: str, way: str) -> None:
    """They pay by themselves from the first day on."""
    if way != "hand":
        terms = autopay.Method(
            gateway=GATEWAY, customer=f"{way}:{account}", method=f"pm:{account}", label=way
        )
        autopay.switch_on(conn, account, terms, actor="year")


def evening(year: "Year", day: date) -> None:
    """The runs of this part of the story; on the 17th somebody undoes the day's dunning."""
    rate(year.database, year.reader, day, actor="year")
    autopay.plan(year.database, day)
    gateway = YearGateway(year.seed)
    with year.database.read() as conn:
        undecided = conn.execute(
            sa.select(attempt.c.id).where(sa.literal_column(UNDECIDED)).order_by(attempt.c.id)
        )
        waiting = [str(one) for one in undecided.scalars()]
    for one in waiting:
        autopay.perform(year.database, Job(1, asking.CHARGE, {"attempt": one}, 1), lambda _name: gateway)
    for told in gateway.returned(year.database, day):
        with year.database.write() as conn:
            recording.hear(conn, GATEWAY, told)
    run_prepaid(year.database, year.reader, actor="year")
    if day.day == _UNDOING:
        with year.database.read() as conn:
            runs = (
                conn.execute(sa.select(dunning_run.c.id).where(dunning_run.c.run_on == day)).scalars().all()
            )
        for run in runs:
            undoing.undo(year.database, run, actor="year")


def _promote(year: "Year", conn: Connection, _owner: Any, step: Step) -> None:
    with suppress(NotActive, GivenBefore, PromotionRefused, TimelineNotUsable):
        giving.promote(conn, year.reader, step.service, step.said["offer"], actor="year", on=step.day)


def _add_on(year: "Year", conn: Connection, _owner: Any, step: Step) -> None:
    with suppress(NotActive, TimelineNotUsable):
        addons.add(conn, year.reader, step.service, "static", actor="year", on=step.day, label=step.key)


def _no_add_on(_year: "Year", conn: Connection, _owner: Any, step: Step) -> None:
    for item in addons.beside_of(conn, step.service):
        if state_on(item.events, step.day).terms is not None:
            with suppress(NotHad):
                addons.remove(conn, step.service, item.label, actor="year", on=step.day)


def _refund(_year: "Year", conn: Connection, owner: Any, step: Step) -> None:
    """What is free of the newest payment by hand, or half of it, goes back by the bank, and arrives."""
    row = _newest(conn, owner.id, debts.UNAPPLIED > 1)
    if row is None:
        return
    amount = owner.money(int(row.free) // step.said["share"])
    with suppress(NotRefundable):
        made = refunds.refund(
            conn, row.id, amount, key=step.key, method="bank", actor="year", reason="year", on=step.day
        )
        refunds.settled(conn, made, actor="year", on=step.day)


def _charge_back(_year: "Year", conn: Connection, owner: Any, step: Step) -> None:
    """The newest payment by hand is taken back by its bank: once for an account."""
    key = f"{owner.id}:chargeback"
    row = _newest(conn, owner.id, debts.LEFT > 0)
    before = sa.select(chargeback.c.id).where(chargeback.c.idempotency_key == key)
    if row is not None and conn.execute(before).first() is None:
        given: Any = {"actor": "year", "on": step.day, "reason": "year"}
        chargebacks.chargeback(conn, row.id, owner.money(int(row.left)), key=key, **given)


def _won(_year: "Year", conn: Connection, owner: Any, step: Step) -> None:
    with suppress(ChargebackUnknown):
        chargebacks.chargeback_reversed(conn, f"{owner.id}:chargeback", actor="year", on=step.day)


def _write_off(_year: "Year", conn: Connection, owner: Any, step: Step) -> None:
    """A debt of more than a hundred days."""
    old = [
        one
        for one in debts.open_balances(conn, owner.id)
        if (step.day - one.due).days > 100 and one.balance > 0
    ]
    if old:
        writing.write(conn, min(old).invoice, actor="year", reason="year", relief=True, on=step.day)


def _order_prepaid(year: "Year", conn: Connection, owner: Any, step: Step) -> None:
    terms = year.terms("pre", owner.currency, step.day)
    prepaid.order(conn, year.reader, step.service, owner.id, terms)
    prepaid.start(conn, step.service, step.day, "year")


def _top_up(year: "Year", conn: Connection, owner: Any, step: Step) -> None:
    price = year.terms("pre", owner.currency, step.day).price
    money = Money(price.minor * step.said["share"], owner.currency)
    topping.top_up(conn, owner.id, money, "cash", step.key, actor="year", on=step.day)


def _use(_year: "Year", conn: Connection, _owner: Any, step: Step) -> None:
    """Accounting heard of octets."""
    day = date.fromisoformat(step.said["on"])
    mine = sa.and_(usage_day.c.service == step.service, usage_day.c.day == day)
    grown = sa.update(usage_day).where(mine).values(down_octets=usage_day.c.down_octets + step.said["octets"])
    if not conn.execute(grown).rowcount:
        row = {"service": step.service, "day": day, "up_octets": 0, "down_octets": step.said["octets"]}
        conn.execute(sa.insert(usage_day).values(**row))


def _newest(conn: Connection, account: str, condition: Any) -> Any:
    """The newest payment by hand of which something is so: its id, what is left of it, what is free."""
    query = sa.select(payment.c.id, debts.LEFT.label("left"), debts.UNAPPLIED.label("free"))
    mine = query.where(
        payment.c.account_id == account, payment.c.method == "bank", payment.c.kind == RECEIPT, condition
    )
    return conn.execute(mine.order_by(payment.c.idempotency_key.desc())).first()


def offers() -> list[tuple[str, str, Any]]:
    """The operator's settings, what is sold beside the plans, and promotions."""
    operator = Operator(name="Year", asn=64500, timezone="UTC", currency="AUD")
    old, free = (
        date(2025, 1, 1),
        Usage(meter="down", per="1G", price=Amount("0.50"), included="100G", rolls=1),
    )
    return [
        ("config", "trunkline", Config(schema=1, operator=operator)),
        ("offer", "half", Offer(type="promotion", percent=50, months=3)),
        ("offer", "tenner", Offer(type="promotion", amount=Amount("10"), cap=Amount("25"))),
        ("plan", "static", _plan("addon", Price(id="a", from_=old, amount=Amount("5"), setup=Amount("3"), tax="gst"))),
        ("plan", "metered", _plan("internet", Price(id="a", from_=old, amount=Amount("20"), tax="gst", usage=(free,)))),
        ("plan", "pre", Plan(type="internet", name="pre", prepaid=Prepaid(),
                             prices=in_each(Price(id="a", from_=old, amount=Amount("30"), tax="gst")))),
    ]  # fmt: skip


def _plan(kind: Any, price: Price) -> Plan:
    return Plan(type=kind, name=kind, prices=in_each(price))


def in_each(*prices: Price) -> tuple[Price, ...]:
    """The prices, which are in AUD, and again with the same numbers in every other currency of the year."""
    others = sorted(set(CURRENCIES) - {"AUD"})
    return prices + tuple(
        replace(one, id=f"{one.id}-{currency}", currency=currency) for currency in others for one in prices
    )


DO: dict[str, _Do] = {
    "promotion": _promote, "add-on": _add_on, "no add-on": _no_add_on, "refund": _refund,
    "chargeback": _charge_back, "chargeback won": _won, "write off": _write_off, "prepaid": _order_prepaid,
    "top-up": _top_up, "use": _use,
}  # fmt: skip
