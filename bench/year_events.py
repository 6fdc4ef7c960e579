"""What happens in the simulated year: who the accounts are, and what befalls them on which local day. Pure.

Everything is drawn from the seed and the account's number alone, so that the same year can be lived again, in pieces,
by other processes. Payments depend on what is owed then: `willing` says what a customer does about it.
"""

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

FIRST = date(2026, 1, 1)
ZONES = (
    "Australia/Perth", "Australia/Lord_Howe", "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/St_Johns",
    "Europe/Berlin", "Asia/Kathmandu", "America/Sao_Paulo", "Africa/Casablanca", "UTC",
)  # fmt: skip
CURRENCIES = ("AUD", "AUD", "AUD", "EUR", "KWD", "JPY")
PLANS = ("fibre", "slow", "yearly", "quarterly")
TEMPERS = ("punctual", "punctual", "punctual", "late", "forgetful", "partial", "over", "never")
NEAR_MIDNIGHT = (time(0, 0, 1), time(0, 30), time(12), time(23, 59, 59))


class Who(NamedTuple):
    """One account."""

    number: int
    zone: str
    currency: str
    anchor: int
    entity: str
    profile: str
    payment_days: int
    change_day: str
    temper: str


class Step(NamedTuple):
    """One thing that happens once: at a moment, to an account, on its local day."""

    key: str
    day: date
    moment: datetime
    what: str
    account: int
    service: str
    said: dict[str, Any]


def people(seed: int, count: int) -> list[Who]:
    """The accounts."""
    return [_person(random.Random(f"{seed}:{number}"), number) for number in range(1, count + 1)]


def script(seed: int, who: Who, days: int) -> Iterator[Step]:
    """Everything that befalls one account within so many days from the first, in order of its own days."""
    chance = random.Random(f"{seed}:{who.number}:story")
    steps: list[Step] = []
    for number in range(1, chance.choice((1, 1, 1, 2, 2, 3)) + 1):
        steps += _service_story(chance, who, f"S-{who.number}-{number}", days)
    steps += _account_story(chance, who, days)
    yield from (step for step in sorted(steps, key=_order) if step.day < FIRST + timedelta(days=days))


def by_day(seed: int, whole: list[Who], days: int) -> dict[date, list[Step]]:
    """The steps of all accounts by day."""
    found: dict[date, list[Step]] = defaultdict(list)
    for who in whole:
        for step in script(seed, who, days):
            found[step.day].append(step)
    return found


def willing(seed: int, who: Who, day: date, owed: list[tuple[date, int]]) -> int:
    """What a customer who owes (due date, balance) pays on a day, in minor units: by temper and chance."""
    chance = random.Random(f"{seed}:{who.number}:{day}")
    total = sum(balance for _, balance in owed)
    if not owed or not total:
        return 0
    age = (day - min(due for due, _ in owed)).days
    match who.temper:
        case "punctual":
            return total if age >= -1 else 0
        case "late":
            return total if age >= 25 else 0
        case "forgetful":
            return total if chance.random() < 0.03 else 0
        case "partial":
            return max(1, total // 2) if chance.random() < 0.1 else 0
        case "over":
            return total + total // 3 if age >= 0 and chance.random() < 0.3 else 0
        case _:
            return 0


def _person(chance: random.Random, number: int) -> Who:
    currency = chance.choice(CURRENCIES)
    return Who(
        number, chance.choice(ZONES), currency, chance.choice((1, 1, 15, 28, 29, 30, 31)),
        chance.choice(("main", "main", "south")),
        "exempt" if chance.random() < 0.05 else "inclusive" if currency == "EUR" else "default",
        chance.choice((0, 7, 14, 30)), chance.choice(("new", "new", "new", "old")), chance.choice(TEMPERS),
    )  # fmt: skip


def _order(step: Step) -> tuple[date, datetime, str]:
    return step.day, step.moment, step.key


def _step(chance: random.Random, who: Who, service: str, offset: int, what: str, **said: Any) -> Step:
    day = FIRST + timedelta(days=offset)
    moment = datetime.combine(day, chance.choice(NEAR_MIDNIGHT), ZoneInfo(who.zone))
    return Step(f"{service}:{what}:{offset}", day, moment, what, who.number, service, said)


def _service_story(chance: random.Random, who: Who, service: str, days: int) -> Iterator[Step]:
    start = chance.randrange(0, days * 2 // 3)
    yield _step(chance, who, service, start, "activate", plan=chance.choice(PLANS))
    for _ in range(chance.choice((0, 0, 1, 2))):
        at = chance.randrange(start + 1, days + 1)
        back = chance.choice((0, 0, 0, 3, 40, -10))
        since = max(start + 1, at - back)
        plan = chance.choice(PLANS)
        yield _step(chance, who, service, at, "change", plan=plan, on=str(FIRST + timedelta(days=since)))
        if chance.random() < 0.2:
            yield _step(chance, who, service, at, "there and back", plan=chance.choice(PLANS))
    if chance.random() < 0.25:
        away = chance.randrange(start + 1, days + 1)
        yield _step(chance, who, service, away, "leave on vacation")
        yield _step(chance, who, service, away + chance.randrange(0, 60), "return")
    if chance.random() < 0.2:
        yield _step(chance, who, service, chance.randrange(start, days + 30), "cease")
    if chance.random() < 0.1:
        yield _step(chance, who, service, chance.randrange(start, days + 1), "lifted by somebody")
    if chance.random() < 0.05:
        yield _step(chance, who, service, chance.randrange(start, days + 1), "held by somebody")


def _account_story(chance: random.Random, who: Who, days: int) -> Iterator[Step]:
    name = f"A-{who.number}"
    for at in range(30, days, 30):
        if chance.random() < 0.05:
            yield _step(chance, who, name, at, "usage", amount=chance.randrange(1, 5000))
        if chance.random() < 0.02:
            yield _step(chance, who, name, at + 1, "goodwill", amount=-chance.randrange(1, 3000))
        if chance.random() < 0.03:
            yield _step(chance, who, name, at + 2, "promise", days=chance.randrange(0, 20))
        if chance.random() < 0.01:
            yield _step(chance, who, name, at + 3, "resume")
        if chance.random() < 0.05:
            yield _step(chance, who, name, at + 4, "credit", part=chance.randrange(0, 3))
