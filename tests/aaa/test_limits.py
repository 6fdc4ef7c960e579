"""Recorded limits in the view: what each does to a policy, incremental equals cold, and a change costs its size."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from aaa.accounting.record import INTERIM, START, STOP
from aaa.limits import quota, store
from aaa.limits.counting import level
from aaa.limits.limit import Limit
from aaa.limits.period import bounds, slot_at
from aaa.models import quota_use, service_limit_change
from aaa.vendors.registry import text_of
from aaa.view.models import METADATA, view_change
from core import clock, events
from core.db import Database
from intents.loader import load
from tests.aaa.limited import Limited
from tests.aaa.network import Network
from tests.aaa.test_accounting import record, write
from tests.aaa.test_view import mutate

CONFIG = """
schema: 1
operator: {name: Example ISP, timezone: Australia/Perth, currency: AUD}
"""
PERTH_NOON = datetime(2025, 11, 20, 4, tzinfo=UTC)
FAIR = "fair-use: {quota: %s, count: %s, period: %s, then: {down: 2M, up: 1M}}\n"
NIGHT = 'schedule: [{days: all, from: "22:00", to: "06:00", rate: {down: 900M, up: 90M}}]\n'


def more(network: Network, plan: str, text: str) -> tuple[str, str]:
    """Add lines to a plan; gives what changed."""
    network.put("plan", plan, network.texts["plan", plan].rstrip() + "\n" + text)
    return "plan", plan


@pytest.fixture
def limited(database, tmp_path, network):
    network.put("config", "trunkline", CONFIG)
    made = Limited(database, Database(f"sqlite:///{tmp_path / 'index.db'}"), network)
    yield made
    made.derived.close()


def put(limited: Limited, *limits: Limit) -> None:
    with limited.recorded.write() as conn:
        store.put(conn, limits, "test")


def test_the_strictest_of_holds_and_limits_wins_and_rates_combine_by_the_minimum(limited):
    """Throttles: the minimum per direction; walled-garden over them; block over all; lifting gives back."""
    limited.network.hold("S-1", "abuse", "throttle", "rate: {down: 5M, up: 4M}")
    put(limited, Limit("S-1", "manual", "throttle", 9_000_000, 1_000_000))
    limited.settle(("hold", "S-1.abuse"))
    assert limited.rate() == "1000000/5000000"
    put(limited, Limit("S-1", "terms", "walled-garden"))
    limited.settle()
    assert limited.wanted().policy.garden
    put(limited, Limit("S-1", "legal", "block"))
    limited.settle()
    assert (limited.access().status, limited.wanted().policy) == ("held", None)
    assert limited.wanted().limits == ("legal", "manual", "terms")
    with limited.recorded.write() as conn:
        store.lift(conn, [("S-1", cause) for cause in ("legal", "manual", "terms")])
    limited.network.drop("hold", "S-1.abuse")
    limited.settle(("hold", "S-1.abuse"))
    assert limited.rate() == "50000000/500000000"
    assert limited.rows() == limited.cold()


def test_a_release_frees_what_every_session_should_have_and_not_the_record_behind_it(limited):
    """While an override is recorded, sessions should have the free policy; the login's own record stays restricted, so
    that the end of the override needs nobody but a clock.
    """
    limited.network.hold("S-1", "nonpayment", "block")
    limited.settle(("hold", "S-1.nonpayment"))
    assert limited.wanted().policy is None
    put(limited, Limit("S-1", "override", "release", until=4102444800))
    limited.settle()
    access, wanted = limited.access(), limited.wanted()
    assert (access.status, access.released, wanted.released) == ("held", 4102444800, 4102444800)
    assert access.free is not None
    assert access.free.policy_hash == wanted.policy_hash
    assert "Mikrotik-Rate-Limit = 50000000/500000000" in text_of(access.free.blocks[access.nas["bng1"]])
    assert "Filter-Id = 500000/50000" in text_of(access.free.blocks[access.nas["bng2"]])


@pytest.mark.parametrize("seed", range(2))
def test_after_random_changes_of_intents_and_limits_the_view_equals_a_cold_build_byte_for_byte(limited, seed):
    """20 random changes of documents and limits, schedules among them: each leaves exactly a cold build's records; and
    so does a derived database that is dropped and built anew.
    """
    rng = random.Random(seed)
    limited.settle(
        more(limited.network, "fibre-500", NIGHT), more(limited.network, "fibre-100", "prepaid: {}\n")
    )
    with clock.frozen(PERTH_NOON):
        for _ in range(20):
            change(limited, rng)
            clock.advance(timedelta(hours=rng.randint(0, 5)))
            limited.settle(*(mutate(limited.network, rng) if rng.random() < 0.5 else ()))
            assert limited.rows() == limited.cold()
        METADATA.drop_all(limited.derived.engine)
        limited.builder = limited.anew()
        limited.settle()
        assert limited.rows() == limited.cold()


def change(limited: Limited, rng: random.Random) -> None:
    """One random change of recorded limits."""
    service = f"S-{rng.randint(1, 12)}"
    soon = int(clock.now().timestamp()) + rng.randint(1, 20_000)
    with limited.recorded.write() as conn:
        match rng.randint(0, 5):
            case 0:
                store.put(conn, [Limit(service, "manual", "throttle", rng.randint(1, 9) * 1000, 5000)], "t")
            case 1:
                store.put(conn, [Limit(service, "override", "release", until=soon)], "t")
            case 2:
                live = {"live": [b"0011223344aa".hex()], "most": 1}
                store.put(conn, [Limit(service, "full", "full", data=live)], "t")
            case 3:
                store.lift(conn, [(service, rng.choice(["manual", "override", "full"]))])
            case 4:
                quota.grant(conn, service, seconds=rng.randint(60, 9000), actor="t")
            case _:
                store.put(
                    conn, [Limit(service, "terms", rng.choice(["walled-garden", "block"]), until=soon)], "t"
                )


def test_the_recorded_database_away_does_not_keep_a_hold_from_the_view(limited, tmp_path):
    """With the recorded database gone, a hold is compiled with the limits that were known last, and later ones follow;
    a view that has never seen any waits instead of setting everybody free.
    """
    put(limited, Limit("S-1", "manual", "throttle", 1_000_000, 1_000_000))
    limited.settle()
    there = limited.recorded
    limited.recorded = Database("postgresql+psycopg://127.0.0.1:1/nobody")
    away = limited.anew()
    limited.network.hold("S-1", "abuse", "throttle", "rate: {down: 5M, up: 500k}")
    limited.builder, limited.keeper._db = away, there
    limited.settle(("hold", "S-1.abuse"))
    assert limited.rate() == "500000/1000000"
    METADATA.drop_all(limited.derived.engine)
    with pytest.raises(Exception, match="not available"):
        limited.anew().run_once()
    limited.recorded.close()
    limited.recorded = there


def test_what_a_limit_already_says_is_no_change(limited):
    """Written again, it adds nothing to the feed; lifted twice, once."""
    one = Limit("S-1", "manual", "throttle", 1000, 1000)
    put(limited, one)
    put(limited, one)
    with limited.recorded.write() as conn:
        assert store.lift(conn, [("S-1", "manual"), ("S-9", "manual")]) == [("S-1", "manual")]
        assert store.lift(conn, [("S-1", "manual")]) == []
        assert conn.scalar(sa.select(sa.func.count()).select_from(service_limit_change)) == 2


def test_a_follower_behind_a_cut_feed_reads_everything(limited):
    """The feed's old end is cut away: whoever is behind it still ends with the recorded limits."""
    for number in range(5):
        put(limited, Limit(f"S-{number % 3 + 1}", "manual", "throttle", 1000 + number, 1000))
    with limited.recorded.write() as conn:
        assert store.forget_changes(conn, keep=1) == 4
    limited.settle()
    assert limited.rows() == limited.cold()


def test_one_service_over_its_quota_compiles_one_service_however_many_there_are(tmp_path, sqlite_template):
    """Counting and following run the same number of statements at 100 and at 1,000 services, and change one login."""
    counts = []
    for size in (100, 1000):
        path = tmp_path / f"{size}.db"
        path.write_bytes(sqlite_template.read_bytes())
        network = Network()
        more(network, "fibre-500", FAIR % ("1G", "total", "month"))
        for number in range(1, size + 1):
            network.subscriber(number)
        limited = Limited(
            Database(f"sqlite:///{path}"), Database(f"sqlite:///{tmp_path / f'{size}-i.db'}"), network
        )
        before = limited.changes()
        statements: list[str] = []
        for db in (limited.recorded, limited.derived):
            sa.event.listen(
                db.engine, "before_cursor_execute", lambda *told, kept=statements: kept.append(told[2])
            )
        write(limited.recorded, record(INTERIM, 600, 2 * 10**9, 0, metered=True, at=clock.now().timestamp()))
        assert limited.settle() == 2
        with limited.derived.read() as conn:
            keys = {
                bytes(key)
                for key in conn.scalars(sa.select(view_change.c.key).where(view_change.c.seq > before))
            }
        assert keys == {b"s:S-1", b"u:s1@example.net"}
        counts.append(len(statements))
        limited.recorded.close()
        limited.derived.close()
    assert counts[0] == counts[1]


def test_fair_use_slows_down_at_the_quota_and_gives_back_at_the_periods_end(limited):
    """Octets of interims: 80 per cent is told, 100 takes the rate, a hold's smaller rate still counts, the next period
    begins at local midnight with nothing used, and nobody had to do anything for that.
    """
    limited.settle(more(limited.network, "fibre-500", FAIR % ("10G", "down", "month")))
    with clock.frozen(PERTH_NOON):
        use(limited, 60, down=8_500_000_000)
        assert (limited.rate(), percents(limited)) == ("50000000/500000000", [80])
        use(limited, 120, down=10_000_000_000, up=99_000_000_000)
        assert (limited.rate(), percents(limited)) == ("1000000/2000000", [80, 100])
        limited.network.hold("S-1", "abuse", "throttle", "rate: {down: 9M, up: 500k}")
        limited.settle(("hold", "S-1.abuse"))
        assert limited.rate() == "500000/2000000"
        limited.network.drop("hold", "S-1.abuse")
        limited.settle(("hold", "S-1.abuse"))
        (limit,) = limited.limits().of("S-1")
        # The first of December at midnight in Perth.
        assert datetime.fromtimestamp(limit.until, UTC) == datetime(2025, 11, 30, 16, tzinfo=UTC)
    with clock.frozen(datetime(2025, 11, 30, 15, 59, tzinfo=UTC)):
        limited.settle()
        assert limited.rate() == "1000000/2000000"
    with clock.frozen(datetime(2025, 11, 30, 16, 0, 1, tzinfo=UTC)):
        limited.settle()
        assert limited.rate() == "50000000/500000000"
        since = clock.now() - PERTH_NOON
        use(limited, int(since.total_seconds()) + 60, down=11_000_000_000, up=99_000_000_000)
        assert limited.rate() == "50000000/500000000"
        assert limited.rows() == limited.cold()


def use(limited: Limited, after: int, up: int = 0, down: int = 0, service: str = "S-1", **more) -> None:
    """An interim whose counters are these, arriving now."""
    at = clock.now().timestamp()
    more = {"metered": True, "service": service, "session_id": service.encode()} | more
    write(limited.recorded, record(INTERIM, after, up, down, at=at, session_time=after, **more))
    limited.settle()


def percents(limited: Limited) -> list[int]:
    with limited.recorded.read() as conn:
        found = events.recent(conn, ["quota.crossed"])
    return [one.data["percent"] for one in reversed(found)]


def test_more_fair_use_lifts_the_limit_and_a_receipt_counts_once(limited):
    """A grant of 5 GB in the period gives the speed back; the same receipt again grants nothing."""
    limited.settle(more(limited.network, "fibre-500", FAIR % ("10G", "total", "week")))
    with clock.frozen(PERTH_NOON):
        use(limited, 60, down=12_000_000_000)
        assert limited.rate() == "1000000/2000000"
        with limited.recorded.write() as conn:
            given: Any = {"kind": "fair-use", "octets": 5 * 10**9, "reference": "R-1", "actor": "billing"}
            assert quota.grant(conn, "S-1", **given)
            assert not quota.grant(conn, "S-1", **given)
        limited.settle()
        assert limited.rate() == "50000000/500000000"
        use(limited, 120, down=16_000_000_000)
        assert limited.rate() == "1000000/2000000"


def test_a_billing_period_that_billing_wrote_counts_instead_of_the_month(limited):
    """`grant(kind="billing")` says when the period ends; without one it is the calendar month of the operator."""
    limited.settle(more(limited.network, "fibre-500", FAIR % ("1G", "total", "billing")))
    with clock.frozen(PERTH_NOON):
        start, end = PERTH_NOON - timedelta(days=9), PERTH_NOON + timedelta(days=21)
        with limited.recorded.write() as conn:
            quota.grant(conn, "S-1", kind="billing", start=start, end=end, actor="billing")
        use(limited, 60, down=2 * 10**9)
        use(limited, 60, down=2 * 10**9, service="S-2")
        ends = {name: limited.limits().of(name)[0].until for name in ("S-1", "S-2")}
        assert ends == {
            "S-1": int(end.timestamp()),
            "S-2": int(datetime(2025, 11, 30, 16, tzinfo=UTC).timestamp()),
        }


def test_a_killed_count_and_a_repeated_record_count_once(limited):
    """The same interim twice brings nothing new; octets of a batch are taken out of the queue as they are counted."""
    limited.settle(more(limited.network, "fibre-500", FAIR % ("1T", "total", "month")))
    for _ in range(3):
        use(limited, 60, up=100, down=1000)
    use(limited, 120, up=150, down=1500)
    with limited.recorded.read() as conn:
        (row,) = conn.execute(sa.select(quota_use)).all()
    assert (row.up_octets, row.down_octets) == (150, 1500)


def test_a_schedule_replaces_the_rate_within_its_slot_by_one_recorded_row(limited):
    """At 22:00 in Perth every service of the plan has the night's rate, at 06:00 the day's; one row, not one a service;
    fair use and holds still take the minimum.
    """
    with clock.frozen(PERTH_NOON):
        limited.settle(more(limited.network, "fibre-500", NIGHT))
        assert limited.rate() == "50000000/500000000"
    with clock.frozen(PERTH_NOON.replace(hour=14)):
        limited.settle()
        assert {limited.rate(f"s{n}@example.net") for n in (1, 2, 3)} == {"90000000/900000000"}
        assert [one.service for found in limited.limits().known.values() for one in found] == [
            "plan:fibre-500"
        ] * 2
        limited.network.hold("S-1", "abuse", "throttle", "rate: {down: 9M, up: 500k}")
        limited.settle(("hold", "S-1.abuse"))
        assert limited.rate() == "500000/9000000"
    with clock.frozen(PERTH_NOON.replace(hour=22)):
        limited.settle()
        assert limited.rate("s2@example.net") == "50000000/500000000"
        assert limited.rows() == limited.cold()


def test_a_slot_is_swept_in_portions_so_that_a_hold_comes_in_between(limited, monkeypatch):
    """With portions of one service: after the first, a hold is in the view before the sweep is through."""
    monkeypatch.setattr("aaa.view.builder._PORTION", 1)
    with clock.frozen(PERTH_NOON.replace(hour=14)):
        more(limited.network, "fibre-500", NIGHT)
        limited.settle(("plan", "fibre-500"))
    with clock.frozen(PERTH_NOON):
        limited.keeper._due.clear()
        limited.keeper.run_once()
        limited.builder.run_once()
        rates = [limited.rate(f"s{n}@example.net") for n in (1, 2, 3)]
        assert rates == ["50000000/500000000", "90000000/900000000", "90000000/900000000"]
        limited.settle()
        assert limited.rows() == limited.cold()


def test_prepaid_is_open_while_there_is_credit_and_closes_by_counters_time_or_date(limited):
    """No credit: the garden. Octets, seconds or days: open until they are gone; what ends first is spent first."""
    with clock.frozen(PERTH_NOON):
        limited.settle(more(limited.network, "fibre-500", "prepaid: {exhausted: walled-garden}\n"))
        assert limited.wanted().policy.garden
        with limited.recorded.write() as conn:
            quota.grant(conn, "S-1", octets=10**9, end=clock.now() + timedelta(days=2), actor="shop")
            quota.grant(conn, "S-2", seconds=3600, actor="shop")
            quota.grant(conn, "S-3", end=clock.now() + timedelta(hours=1), actor="shop")
        limited.settle()
        assert limited.rate() == "50000000/500000000"
        assert limited.access().until == int((PERTH_NOON + timedelta(days=2)).timestamp())
        assert "Session-Timeout = 3600" in text_of(limited.access("s2@example.net").blocks[0])
        use(limited, 60, down=900_000_000)
        assert (limited.wanted().policy.garden, percents(limited)) == (False, [80])
        use(limited, 120, down=1_100_000_000)
        assert (limited.wanted().policy.garden, percents(limited)) == (True, [80, 100])
        use(limited, 1800, service="S-2")
        assert not limited.wanted("S-2").policy.garden
        use(limited, 3600, service="S-2")
        assert limited.wanted("S-2").policy.garden
        clock.advance(timedelta(hours=1))
        limited.settle()
        assert limited.wanted("S-3").policy.garden
        assert limited.rows() == limited.cold()


def test_two_grants_of_one_moment_are_each_used_up(limited):
    """Octets are taken once, whether or not the second grant begins with the first."""
    with clock.frozen(PERTH_NOON):
        limited.settle(more(limited.network, "fibre-500", "prepaid: {exhausted: walled-garden}\n"))
        with limited.recorded.write() as conn:
            for reference in ("R-1", "R-2"):
                given: Any = {"octets": 10**9, "start": PERTH_NOON, "reference": reference, "actor": "shop"}
                assert quota.grant(conn, "S-1", **given)
        use(limited, 60, down=1_500_000_000)
        use(limited, 120, down=1_900_000_000)
        assert not limited.wanted().policy.garden
        use(limited, 180, down=2_500_000_000)
        use(limited, 240, down=2_500_001_000)
        assert limited.wanted().policy.garden


def test_a_count_reads_no_period_that_is_over(limited):
    """A year of daily periods costs the next interim nothing."""
    limited.settle(more(limited.network, "fibre-500", FAIR % ("1G", "total", "day")))
    for day in range(5):
        with clock.frozen(PERTH_NOON + timedelta(days=day)):
            use(limited, 60 + day * 86400, down=(day + 1) * 1000)
    with limited.recorded.read() as conn:
        assert len(conn.execute(sa.select(quota_use)).all()) == 5
        since = PERTH_NOON + timedelta(days=4)
        ((_key, found),) = quota.uses(conn, ["S-1"], "fair-use", since).items()
        assert (found.down, len(quota.uses(conn, ["S-1"], "fair-use", PERTH_NOON))) == (1000, 5)


def test_seconds_left_are_told_to_the_next_login_when_a_session_ends(limited):
    """A session used 600 of 3,600 seconds: the next login gets a Session-Timeout of 3,000."""
    limited.settle(more(limited.network, "fibre-500", "prepaid: {}\n"))
    with limited.recorded.write() as conn:
        quota.grant(conn, "S-1", seconds=3600, actor="shop")
    at = clock.now().timestamp()
    write(limited.recorded, record(START, at=at - 600, session_time=0, metered=True))
    write(limited.recorded, record(STOP, 600, at=at, metered=True))
    limited.settle()
    assert "Session-Timeout = 3000" in text_of(limited.access().blocks[0])


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "needs octets, seconds or an end"),
        ({"octets": -1}, "nothing may be negative"),
        ({"kind": "billing"}, "billing needs an end"),
        ({"end": datetime(2020, 1, 1, tzinfo=UTC)}, "it ends at 2020-01-01 00:00"),
    ],
)
def test_a_grant_of_nothing_is_refused_in_a_sentence(limited, given, why):
    """What makes no sense is said, and nothing is written."""
    with pytest.raises(quota.GrantNotUsable, match=why), limited.recorded.write() as conn:
        quota.grant(conn, "S-1", actor="t", **given)


def test_periods_begin_at_local_midnight_also_where_clocks_change():
    """Day, week from Monday and month in their zone: 23 or 25 hours on the day of change, and UTC is nobody's day."""
    sydney, change_day = "Australia/Sydney", datetime(2025, 10, 4, 20, tzinfo=UTC)
    start, end = bounds("day", sydney, change_day)
    assert (start.isoformat(), end - start) == ("2025-10-04T14:00:00+00:00", timedelta(hours=23))
    start, end = bounds("week", sydney, change_day)
    assert (start.isoformat(), end.isoformat()) == ("2025-09-28T14:00:00+00:00", "2025-10-05T13:00:00+00:00")
    start, end = bounds("billing", sydney, change_day)
    assert (start.isoformat(), end.isoformat()) == ("2025-09-30T14:00:00+00:00", "2025-10-31T13:00:00+00:00")


def test_a_slot_passes_midnight_and_belongs_to_the_day_on_which_it_begins():
    """Friday 22:00-06:00 is open on Saturday at 05:59 and not on Sunday; the first slot that fits counts."""
    plan = load("catalog/plans/p.yaml", PLAN_TEXT.encode()).value  # type: ignore[union-attr]

    def rate(day: int, hour: int, minute: int = 0) -> int:
        slot = slot_at(plan.schedule, "UTC", datetime(2025, 11, day, hour, minute, tzinfo=UTC))
        return 0 if slot is None else int(slot.rate.down)

    # The 21st of November 2025 is a Friday.
    assert [rate(21, 21, 59), rate(21, 22), rate(22, 5, 59), rate(22, 6)] == [0, 9_000_000, 9_000_000, 0]
    assert [rate(23, 5), rate(24, 9), rate(22, 12), rate(23, 12)] == [0, 2_000_000, 3_000_000, 3_000_000]


PLAN_TEXT = """type: internet
rate: {down: 1M, up: 1M}
schedule:
  - {days: [fri], from: "22:00", to: "06:00", rate: {down: 9M, up: 1M}}
  - {days: workdays, from: "09:00", to: "12:00", rate: {down: 2M, up: 1M}}
  - {days: weekend, from: "12:00", to: "24:00", rate: {down: 3M, up: 1M}}
prices: [{id: p1, from: 2025-07-01, amount: "79.00", every: month}]
"""


def test_levels_are_eighty_and_a_hundred():
    """Exactly at the mark counts as passed."""
    assert [level(used, 100) for used in (0, 79, 80, 99, 100, 500)] == [0, 0, 80, 80, 100, 100]
