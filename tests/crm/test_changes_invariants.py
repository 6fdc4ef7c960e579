"""Whatever is agreed, in whatever order it is told and billed: each day is billed once, to whom and at what it was."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from billing import accounts, ledger
from billing.agenda.errors import NotAgreeable
from billing.models import charge, subscription, subscription_item
from billing.runs.verify import breaches
from core import clock
from core.db import Database
from crm.changes import transfers, vacations
from tests.crm.test_changes import START, Desk

QUICK = [one for one in Phase if one not in (Phase.shrink, Phase.explain)]
FEW = settings(max_examples=15, phases=QUICK, suppress_health_check=[HealthCheck.function_scoped_fixture])
TODAY = date(2026, 3, 20)
days = st.integers(0, (TODAY - START).days).map(lambda n: START + timedelta(days=n))
actions = st.lists(
    st.one_of(
        st.tuples(st.just("change"), days, st.sampled_from(["fibre", "slow", "quarterly"])),
        st.tuples(st.just("vacation"), days, st.integers(1, 30)),
        st.tuples(st.just("transfer"), days, st.integers(0, 1)),
        st.tuples(st.just("bill"), days, st.just(0)),
    ),
    min_size=1,
    max_size=9,
)


class Story:
    """What was agreed, kept apart from billing: events by day and order."""

    def __init__(self, account: str) -> None:
        self._events: list[tuple[date, int, str, Any]] = [
            (START, 0, "plan", "fibre"),
            (START, 0, "account", account),
        ]

    def add(self, day: date, what: str, value: Any) -> None:
        """Something holds from a day on."""
        self._events.append((day, len(self._events), what, value))

    def on(self, day: date) -> list[tuple[str, str]]:
        """(account, plan) that a day is to be billed to and at; nothing while on vacation."""
        told = sorted(self._events, key=lambda one: one[:2])
        state = {"away": False} | {what: value for at, _, what, value in told if at <= day}
        return [] if state["away"] else [(state["account"], state["plan"])]


def tell(desk: Desk, story: Story, service: str, theirs: list[str], action: tuple[str, date, Any]) -> None:
    """Agree on one thing, and let its files land."""
    what, day, value = action
    if what == "bill":
        desk.bill(day)
    elif what == "change":
        entry = desk.change(service, value, str(day))
        story.add(day, "plan", value)
        desk.services[service] = msgspec.structs.replace(desk.services[service], plan=value)
        if entry.state == "asked":
            desk.land(entry)
    elif what == "vacation":
        until = min(day + timedelta(days=value), TODAY)
        desk.agree(vacations.ask, service, day, until)
        story.add(day, "away", True)
        story.add(until, "away", False)
    else:
        desk.agree(transfers.ask, service, theirs[value], str(day))
        story.add(day, "account", theirs[value])


AWAY = [
    ("vacation", date(2026, 1, 10), 10),
    ("change", date(2026, 1, 25), "slow"),
    ("bill", date(2026, 2, 1), 0),
]
HANDED_OVER = ("transfer", date(2026, 1, 15), 1)


@FEW
@example([*AWAY, HANDED_OVER])
@example(
    [
        *AWAY[:2],
        HANDED_OVER,
        ("change", date(2026, 2, 10), "quarterly"),
        AWAY[2],
        ("transfer", date(2026, 2, 9), 0),
    ]
)
@given(actions)
def test_invariants_4_5_and_13_each_day_is_billed_once_to_whom_it_was(database: Database, told):
    """Changes, vacations, transfers, back-dated in any order between runs: days, plans, payers, books are right."""
    with clock.frozen(datetime(2026, 3, 20, 4, tzinfo=UTC)):
        desk = Desk(database)
        with database.write() as conn:
            customer = accounts.get(conn, desk.account).customer_ref
            other = accounts.open_account(
                conn, customer, currency="AUD", timezone="Australia/Perth", anchor=15,
                tax_profile=desk.entity, legal_entity=desk.entity,
            )  # fmt: skip
        service = desk.add(START)
        desk.services[service] = msgspec.structs.replace(desk.services[service], customer=customer)
        story, theirs = Story(desk.account), [desk.account, other]
        for action in told:
            try:
                tell(desk, story, service, theirs, action)
            except NotAgreeable:
                continue  # it did not fit into the timeline, and nothing of it is kept
        desk.bill(TODAY)
    found = billed(database, service)
    for n in range((TODAY - START).days + 1):
        day = START + timedelta(days=n)
        assert found[day] == story.on(day), day
    assert list(breaches(database)) == []
    with database.read() as conn:
        for account in theirs:
            assert ledger.balance(conn, "customer-credit", account, "AUD").minor <= 0


def billed(database: Database, service: str) -> dict[date, list[tuple[str, str]]]:
    """Day -> (account, plan) of every charge that stands and bills it."""
    query = sa.select(charge).join(subscription_item, subscription_item.c.id == charge.c.item_id)
    query = query.join(subscription, subscription.c.id == subscription_item.c.subscription_id)
    with database.read() as conn:
        rows = conn.execute(query.where(subscription.c.service == service)).all()
    back = {row.reverses for row in rows}
    found: dict[date, list[tuple[str, str]]] = defaultdict(list)
    for row in rows:
        if row.reverses is None and row.id not in back and row.kind == "recurring":
            for n in range((row.part_end - row.part_start).days):
                found[row.part_start + timedelta(days=n)].append((row.account_id, row.terms["plan"]))
    return found
