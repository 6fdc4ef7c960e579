"""Rating: what usage costs, what is included and left over, months rated once and corrected by their difference."""

from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from aaa.models import session, usage_day
from billing import subscriptions
from billing.billrun import run_billing
from billing.explain import explain
from billing.models import billable
from billing.periods import Period
from billing.rating import allowance, running, told
from billing.rating.allowance import Lot
from billing.rating.models import usage_rated
from billing.rating.rules import Rule, Tier, cost, rule_of, steps
from billing.rating.running import rate
from core import faults
from core.db import Database
from core.money import Money
from intents import loader
from intents.plan.schema import Plan, Usage, UsageTier
from intents.reader import MemoryReader
from tests.billing.stage import START, Stage, a_service, price, reader_of

GB = 10**9
FEB, MAR, APR = date(2026, 2, 1), date(2026, 3, 1), date(2026, 4, 1)
TIERS = (Tier(100, Fraction(50)), Tier(300, Fraction(30)), Tier(None, Fraction(10)))


def _rule(model: str, **given: Any) -> Rule:
    tiers = TIERS if model in ("graduated", "volume") else (Tier(None, Fraction(50)),)
    return Rule(**{"meter": "bytes", "model": model, "per": 10, "tiers": tiers, **given})


@pytest.mark.parametrize(
    ("model", "over", "minor"),
    [
        ("unit", 0, 0), ("unit", 10, 50), ("unit", 11, 55), ("unit", 1, 5),
        ("package", 1, 50), ("package", 10, 50), ("package", 11, 100),
        ("graduated", 100, 500), ("graduated", 110, 530), ("graduated", 300, 1100), ("graduated", 400, 1200),
        ("volume", 100, 500), ("volume", 101, 303), ("volume", 400, 400),
    ],
)  # fmt: skip
def test_what_a_quantity_costs(model: str, over: int, minor: int) -> None:
    """By the model; a part of a unit in proportion, a begun package whole."""
    assert cost(_rule(model), over, "AUD") == Money(minor, "AUD")


@given(st.integers(0, 2000), st.integers(0, 2000), st.sampled_from(["unit", "package", "graduated"]))
def test_invariant_35_more_use_never_costs_less(one: int, other: int, model: str) -> None:
    """Graduated above all; by volume it may, which is what volume prices are for."""
    low, high = sorted((one, other))
    assert cost(_rule(model), low, "AUD").minor <= cost(_rule(model), high, "AUD").minor


@given(st.integers(0, 2000))
def test_the_steps_of_a_graduated_cost_are_all_of_it(over: int) -> None:
    """Each unit once."""
    assert sum(step.units for step in steps(_rule("graduated"), over)) * 10 == over


def test_a_cap_is_the_most_that_a_month_costs() -> None:
    """And nothing below it changes."""
    assert [cost(_rule("unit", cap=60), over, "AUD").minor for over in (11, 12, 5000)] == [55, 60, 60]


def test_rounding_is_once_for_the_line() -> None:
    """0.0125 per unit, 3 units: 0.0375 is 4 cents, not 3 times 1."""
    rule = rule_of(Usage(meter="sessions", price="0.0125"), "AUD")  # type: ignore[arg-type]
    assert cost(rule, 3, "AUD") == Money(4, "AUD")
    assert cost(rule_of(Usage(meter="sessions", price="2.5"), "JPY"), 3, "JPY") == Money(8, "JPY")  # type: ignore[arg-type]


_quantities = st.lists(st.integers(0, 300), min_size=1, max_size=8)


@given(_quantities, st.integers(0, 100), st.integers(0, 3))
def test_allowances_are_used_once_the_oldest_first(used: list[int], included: int, rolls: int) -> None:
    """All that was free is at most all that was given; nothing lasts longer than it rolls; more is never free twice."""
    lots: tuple[Lot, ...] = ()
    free = 0
    for month, quantity in enumerate(used):
        found = allowance.use(month, quantity, included, rolls, lots)
        assert found.free + found.over == quantity
        assert found.over == 0 or not found.lots or rolls == 0
        assert all(month - rolls <= lot.month <= month for lot in found.lots)
        free += found.free
        lots = found.lots
    assert free + sum(lot.left for lot in lots) <= included * len(used)


def test_what_rolls_over_is_used_before_this_months_own() -> None:
    """So that nothing is lost that could have been used."""
    first = allowance.use(1, 20, 100, 1)
    assert first.lots == (Lot(1, 80),)
    assert allowance.use(2, 90, 100, 1, first.lots) == allowance.Used(90, 0, (Lot(2, 90),))
    assert allowance.use(3, 0, 100, 1, first.lots).lots == (Lot(3, 100),)


@given(st.integers(0, 10**12), st.integers(1, 31))
def test_parts_of_a_month_have_their_days_share_of_what_is_included(included: int, days: int) -> None:
    """Together at least the whole."""
    assert allowance.share(included, days, 31) + allowance.share(included, 31 - days, 31) >= included
    assert allowance.share(included, 31, 31) == included


def test_quantities_are_told_as_people_say_them() -> None:
    """Decimal units, hours and minutes."""
    assert [told.amount_of("bytes", one) for one in (0, 1500, 312_500_000_000, 2 * 10**12)] == [
        "0 B", "1.5 kB", "312.5 GB", "2 TB",
    ]  # fmt: skip
    assert [told.amount_of("seconds", one) for one in (0, 59, 5400)] == ["0 min", "59 s", "1 h 30 min"]


METERED = Plan(
    type="internet", name="Metered",
    prices=(
        price(
            "m1", "30.00",
            usage=(Usage(meter="bytes", per="1G", price="0.50", included="200G", rolls=1),),  # type: ignore[arg-type]
        ),
    ),
)  # fmt: skip
FAMILY = Plan(
    type="internet",
    prices=(
        price("f1", "30.00", usage=(Usage(meter="down", price="1.00", included="10G", shared=True),)),  # type: ignore[arg-type]
    ),
)
_TWO = (UsageTier(upto="2", price="1.00"), UsageTier(price="0.10"))  # type: ignore[arg-type]
HOURLY = Plan(
    type="internet",
    prices=(
        price(
            "h1", "5.00",
            usage=(
                Usage(meter="seconds", model="package", per="1h", price="2.00"),  # type: ignore[arg-type]
                Usage(meter="sessions", model="graduated", tiers=_TWO),
            ),
        ),
    ),
)  # fmt: skip
PLANS = {"metered": METERED, "family": FAMILY, "hourly": HOURLY}


class Metered(Stage):
    @property
    def reader(self) -> MemoryReader:
        """With plans that have usage prices."""
        return reader_of(self.services, PLANS)

    def used(self, service: str, day: date, down: int, up: int = 0) -> None:
        """Accounting heard of octets."""
        with self.database.write() as conn:
            chosen = sa.and_(usage_day.c.service == service, usage_day.c.day == day)
            row = conn.execute(sa.select(usage_day).where(chosen)).first()
            if row is None:
                values = {"service": service, "day": day, "up_octets": up, "down_octets": down}
                conn.execute(sa.insert(usage_day).values(**values))
            else:
                grown = {"up_octets": row.up_octets + up, "down_octets": row.down_octets + down}
                conn.execute(sa.update(usage_day).where(chosen).values(**grown))

    def rated(self) -> list[Any]:
        """Its usage billables in order."""
        query = sa.select(billable).where(billable.c.account_id == self.account, billable.c.kind == "usage")
        return self._rows(query.order_by(billable.c.source, billable.c.revision))


def test_a_month_is_billed_after_it_once(database: Database) -> None:
    """Invariant 36: a second run adds nothing; the line explains itself."""
    stage = Metered(database)
    service = stage.add(plan="metered")
    run_billing(database, stage.reader, START)
    stage.used(service, date(2026, 1, 10), 250 * GB)
    stage.used(service, date(2026, 1, 31), 50 * GB, 12 * GB)
    stage.used(service, FEB, 5 * GB)
    assert rate(database, stage.reader, date(2026, 1, 31)).changes == ()
    found = rate(database, stage.reader, FEB)
    assert [(one.used, str(one.amount)) for one in found.changes] == [(312 * GB, "AUD 56.00")]
    assert rate(database, stage.reader, FEB).changes == ()
    run_billing(database, stage.reader, FEB)
    last = stage.invoices()[-1]
    with database.read() as conn:
        said = explain(conn, last.id)
    line = next(one for one in said["lines"] if one["what"].startswith("Metered: data 312 GB"))
    assert line["amount"] == "AUD 56.00"
    assert "beyond: 112 GB; price: 112 x AUD 0.5 per 1 GB; price version: m1 of plan metered" in line["why"]
    assert len(stage.rated()) == 1


def test_records_that_come_late_bill_the_difference_with_the_next_bill(database: Database) -> None:
    """As a further revision; what was billed stays."""
    stage = Metered(database)
    service = stage.add(plan="metered")
    stage.used(service, date(2026, 1, 10), 210 * GB)
    rate(database, stage.reader, FEB)
    run_billing(database, stage.reader, FEB)
    stage.used(service, date(2026, 1, 30), 4 * GB)
    rate(database, stage.reader, date(2026, 2, 3))
    assert [(row.revision, row.amount, row.billed_from) for row in stage.rated()] == [
        (0, 500, FEB),
        (1, 200, MAR),
    ]
    run_billing(database, stage.reader, date(2026, 2, 3))
    assert stage.rated()[1].invoice_id is None


def test_what_is_left_rolls_over_and_expires(database: Database) -> None:
    """200 GB a month, kept for one month more."""
    stage = Metered(database)
    service = stage.add(plan="metered")
    for month, amount in ((1, 100), (2, 290), (3, 250)):
        stage.used(service, date(2026, month, 5), amount * GB)
    for on in (FEB, MAR, APR):
        rate(database, stage.reader, on)
    rows = stage._rows(
        sa.select(usage_rated).where(usage_rated.c.account_id == stage.account).order_by("period_start")
    )
    assert [(row.free // GB, row.amount) for row in rows] == [
        (100, 0), (290, 0), (210, 2000),
    ]  # fmt: skip
    stage.used(service, date(2026, 1, 6), 100 * GB)  # January had nothing left after all
    rate(database, stage.reader, APR)
    rows = stage._rows(
        sa.select(usage_rated).where(usage_rated.c.account_id == stage.account).order_by("period_start")
    )
    assert [(row.free // GB, row.amount) for row in rows] == [(200, 0), (200, 4500), (200, 2500)]


def test_services_of_an_account_share(database: Database) -> None:
    """Two times 10 GB; the line is the account's."""
    stage = Metered(database)
    one, other = stage.add(plan="family"), stage.add(plan="family")
    stage.used(one, date(2026, 1, 3), 18 * GB)
    stage.used(other, date(2026, 1, 3), 5 * GB)
    (change,) = rate(database, stage.reader, FEB).changes
    assert (change.used, str(change.amount)) == (23 * GB, "AUD 3.00")
    (row,) = stage.rated()
    assert row.service is None
    assert row.why["together"] == f"{one}, {other}"


def test_time_and_sessions_count_where_the_account_lives(database: Database) -> None:
    """A session that begins at 23:30 UTC on 31 January begins on 1 February in Perth."""
    stage = Metered(database)
    service = stage.add(plan="hourly")
    _session(database, service, "a", datetime(2026, 1, 31, 15, 30, tzinfo=UTC), 3601)
    _session(database, service, "b", datetime(2026, 1, 31, 23, 30, tzinfo=UTC), 100)
    for number in range(2):
        _session(database, service, f"c{number}", datetime(2026, 1, 20, tzinfo=UTC), 10)
    changes = {one.meter: one for one in rate(database, stage.reader, FEB).changes}
    assert (changes["sessions"].used, str(changes["sessions"].amount)) == (3, "AUD 2.10")
    assert (changes["seconds"].used, str(changes["seconds"].amount)) == (3621, "AUD 4.00")


def test_a_plan_that_changes_within_the_month_is_rated_in_parts(database: Database) -> None:
    """Each with its days' share of what is included."""
    stage = Metered(database)
    service = stage.add(plan="metered")
    with database.write() as conn:
        subscriptions.change_terms(conn, service, stage.terms("fibre"), date(2026, 1, 16), "test")
    stage.used(service, date(2026, 1, 15), 100 * GB)
    stage.used(service, date(2026, 1, 16), 900 * GB)
    (change,) = rate(database, stage.reader, FEB).changes
    included = allowance.share(200 * GB, 15, 31)
    assert (change.period, change.used) == (Period(START, date(2026, 1, 16)), 100 * GB)
    assert change.amount == cost(rule_of(METERED.prices[0].usage[0], "AUD"), 100 * GB - included, "AUD")


def test_a_change_that_is_told_late_takes_back_what_was_rated(database: Database) -> None:
    """The plan had no usage price in that month after all."""
    stage = Metered(database)
    service = stage.add(plan="metered")
    stage.add(plan="metered")
    stage.used(service, date(2026, 1, 15), 300 * GB)
    rate(database, stage.reader, FEB)
    with database.write() as conn:
        subscriptions.change_terms(conn, service, stage.terms("fibre"), START, "test")
    rate(database, stage.reader, date(2026, 2, 2))
    assert [row.amount for row in stage.rated()] == [5000, -5000]
    assert stage.rated()[1].description.startswith("taken back: Metered")
    assert rate(database, stage.reader, date(2026, 2, 2)).changes == ()


def test_a_dry_run_keeps_nothing(database: Database) -> None:
    """And tells the same."""
    stage = Metered(database)
    stage.used(stage.add(plan="metered"), date(2026, 1, 15), 300 * GB)
    dry = rate(database, stage.reader, FEB, dry=True)
    assert stage.rated() == []
    assert rate(database, stage.reader, FEB) == dry


POINTS = [running.P_CHUNK]


def test_a_run_that_is_cut_off_goes_on(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a chunk; the rerun adds only what is missing."""
    stages = [Metered(database) for _ in range(3)]
    for stage in stages:
        stage.used(stage.add(plan="metered"), date(2026, 1, 15), 300 * GB)
    reader = reader_of({name: a_service(plan="metered") for one in stages for name in one.services}, PLANS)
    monkeypatch.setenv("TRUNKLINE_TEST_MODE", "1")
    monkeypatch.setenv("TRUNKLINE_FAULT", f"{POINTS[0]}:1:raise")
    monkeypatch.setattr(faults, "_passages", {})
    with pytest.raises(faults.FaultInjected):
        rate(database, reader, FEB, chunk=1)
    assert sum(len(stage.rated()) for stage in stages) == 1
    monkeypatch.delenv("TRUNKLINE_FAULT")
    rate(database, reader, FEB, chunk=1)
    assert [[row.revision for row in stage.rated()] for stage in stages] == [[0], [0], [0]]


def test_a_plan_whose_usage_makes_no_sense_is_told_where() -> None:
    """With file, line and column."""
    text = """\
type: internet
rate: {down: 1G, up: 1G}
prices:
  - id: a
    from: 2026-01-01
    amount: "1.00"
    usage:
      - {meter: bytes, price: "0.50", included: 12 parsecs}
      - {meter: seconds, model: graduated, price: "1.00"}
      - {meter: up, model: volume, tiers: [{upto: 10G, price: "1.00"}, {upto: 5G, price: "0.5"}]}
      - {meter: down, price: "-1.00", rolls: 2}
"""
    loaded = loader.load("catalog/plans/odd.yaml", text.encode())
    assert isinstance(loaded, list)
    found = [str(one) for one in loaded]
    assert any(one.startswith("catalog/plans/odd.yaml:8:") and "parsecs" in one for one in found)
    for line, what in ((9, "needs `tiers`"), (10, "goes on without `upto`"), (10, "tiers go up"), (11, "below nothing"),
                       (11, "could be left over")):  # fmt: skip
        assert any(one.startswith(f"catalog/plans/odd.yaml:{line}:") and what in one for one in found), what


def _session(database: Database, service: str, ref: str, started: datetime, seconds: int) -> None:
    values: dict[str, Any] = {}
    for column in session.columns:
        kind = column.type
        empty: Any = "" if isinstance(kind, sa.String) else False if isinstance(kind, sa.Boolean) else 0
        values |= {} if column.nullable else {column.name: empty}
    values |= {
        "session_ref": f"{service}-{ref}", "service": service, "started_at": started, "updated_at": started,
        "session_time": seconds, "state": "closed", "nas": "bng1", "acct_session_id": ref.encode(), "circuit": b"",
    }  # fmt: skip
    with database.write() as conn:
        conn.execute(sa.insert(session).values(**values))


def test_rating_an_earlier_month_again_leaves_later_ones_alone(database: Database):
    """January and February are billed; January is looked at again: nothing of February is taken back."""
    stage = Metered(database)
    service = stage.add(plan="metered")
    stage.used(service, date(2026, 1, 5), 10 * GB)
    stage.used(service, date(2026, 2, 5), 590 * GB)
    for on in (date(2026, 2, 1), date(2026, 3, 1)):
        rate(database, stage.reader, on)
    before = [(one.amount, one.revision) for one in stage.rated()]
    assert before
    assert rate(database, stage.reader, date(2026, 2, 10)).changes == ()
    assert [(one.amount, one.revision) for one in stage.rated()] == before
