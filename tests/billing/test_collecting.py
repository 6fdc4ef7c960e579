"""Dunning as data: notices, fees, calendars, minimum, effects by type, hardship, promises; invariants 30 to 33."""

from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from billing import debts, holds, payments, policies, promises
from billing.billrun import run_billing
from billing.collecting import hardships, notices, pledges
from billing.collecting.calendars import DAYS, Calendar
from billing.collecting.errors import HardshipNotUsable, InstalmentsNotUsable
from billing.collecting.models import dunning_notice
from billing.collecting.status import status
from billing.dunning import open_cases, run_dunning
from billing.errors import PolicyNotUsable
from billing.models import billable, dunning_stage
from billing.stages import (
    DEFAULT,
    Debt,
    Policy,
    Promise,
    Step,
    effect,
    effective_due,
    entries,
    next_step,
    overdue,
    permitted,
    stage,
)
from core.days import LAST
from core.db import Database
from core.models import event
from core.money import Money
from intents.kinds import path_of
from tests.billing.stage import START, Stage, all_sets, changes_of

FEW = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)  # fmt: skip
DUE = date(2026, 1, 15)
LATE = date(2026, 2, 2)  # a Monday
WORKDAYS = Calendar(days_off=("sat", "sun"), holidays=(date(2026, 1, 26), date(2026, 4, 3)), eve=1, notice=3)
STRICT = Policy(
    (
        Step("reminder", 1, channels=("e-mail", "sms")),
        Step("slow", 7, "throttle", {"voice": ""}, ("1M", "512k"), ("letter",), {"AUD": "5.00"}),
        Step("garden", 14, "walled-garden", services={"voice": "block"}, channels=("call",)),
        Step("stop", 28, "block", channels=("letter", "call"), fee={"AUD": "15.00"}),
    ),
    grace=1, minimum={"AUD": "20.00"}, calendar=WORKDAYS,
)  # fmt: skip
calendars = st.builds(
    Calendar, st.sampled_from([(), ("sat", "sun"), ("fri", "sat")]),
    st.lists(st.dates(date(2026, 1, 1), date(2026, 6, 1)), max_size=4).map(tuple), st.integers(0, 2), st.integers(0, 6),
)  # fmt: skip
days = st.dates(date(2026, 1, 1), date(2026, 7, 1))


def owing(database: Database, policy: Policy | None = None, services: int = 1, **given) -> Stage:
    """An account that owes January, with a policy of its own."""
    name = "default"
    if policy is not None:
        name = f"p{len(policy.steps)}{'x' if policy.calendar.days_off else ''}"
        with database.write() as conn:
            policies.store(conn, name, policy)
    stage_ = Stage(database, dunning_policy=name)
    for _ in range(services):
        stage_.add(**given)
    run_billing(database, stage_.reader, START)
    return stage_


def dun(stage_: Stage, on: date):
    """Run dunning."""
    return run_dunning(stage_.database, stage_.reader, on)


def pay(stage_: Stage, minor: int, on: date, key: str = "k"):
    """Pay."""
    with stage_.database.write() as conn:
        return payments.pay(
            conn, stage_.account, Money(minor, "AUD"), "cash", f"{stage_.entity}:{key}", on=on
        )


def case_of(stage_: Stage):
    """Its case."""
    with stage_.database.write() as conn:
        return open_cases(conn, [stage_.account], DUE)[0]


def held(stage_: Stage) -> dict[str, str]:
    """Services that billing knows to be held, with the effect."""
    with stage_.database.read() as conn:
        return {name: row["effect"] for name, row in holds.held(conn, [stage_.account]).items()}


def told(stage_: Stage, type_: str) -> list[dict]:
    """Events about the account."""
    query = sa.select(event.c.data).where(event.c.type == type_, event.c.subject == stage_.account)
    with stage_.database.read() as conn:
        return list(conn.execute(query.order_by(event.c.seq)).scalars())


# Pure


@given(calendars, days, st.integers(0, 8))
def test_business_days_are_counted_and_no_restriction_falls_on_a_day_off(calendar, day, count):
    """`later` passes exactly so many business days; what is permitted is one, and so are the days after it."""
    end = calendar.later(day, count)
    between = [day + timedelta(days=n) for n in range(1, (end - day).days + 1)]
    assert sum(map(calendar.is_business, between)) == count
    at = calendar.next_permitted(day)
    assert all(calendar.is_business(at + timedelta(days=n)) for n in range(calendar.eve + 1))
    assert not any(calendar.permits(day + timedelta(days=n)) for n in range((at - day).days))


@given(calendars, days, st.integers(0, 5))
def test_invariant_33_entries_never_go_back_and_restrict_only_on_permitted_days(calendar, oldest, grace):
    """Each step's day is no earlier than the one before it, nor than its days after the due date."""
    policy = Policy(STRICT.steps, grace, {}, calendar)
    found = list(entries(policy, oldest))
    assert found == sorted(found)
    for step, day in zip(policy.steps, found, strict=True):
        assert (day - oldest).days >= step.days + grace
        assert not step.restricts or calendar.permits(day)


@given(calendars, st.lists(st.tuples(days, st.integers(100, 9_000)), max_size=4), st.integers(0, 3))
def test_invariant_33_walking_day_by_day_no_step_is_skipped_and_each_is_entered_once(calendar, owed, gap):
    """With any calendar, run daily or with gaps: steps are 1..n, restrictions never on a day off or unnoticed."""
    policy = Policy(STRICT.steps, 1, {"AUD": "20.00"}, calendar)
    open_ = [Debt(due, f"INV-{n}", Money(minor, "AUD")) for n, (due, minor) in enumerate(owed)]
    entered: dict[int, date] = {}
    for offset in range(0, 240, gap + 1):
        today = date(2026, 1, 1) + timedelta(days=offset)
        now = permitted(policy, stage(policy, open_, [], today), entered, today)
        for step in range(1, now + 1):
            if step not in entered:
                entered[step] = today
                assert not policy.steps[step - 1].restricts or calendar.permits(today)
                if step > 1 and policy.steps[step - 1].restricts and calendar.notice:
                    assert calendar.later(entered[step - 1], calendar.notice) <= today
        assert sorted(entered) == list(range(1, len(entered) + 1))
    worth = sum(minor for _, minor in owed if minor >= 100) >= 2000
    assert (len(entered) == len(policy.steps)) == (bool(owed) and worth)


@given(st.integers(0, 60), st.integers(0, 30), st.integers(1, 90))
def test_invariant_33_a_broken_promise_goes_on_at_the_stage_where_it_stood(age, length, later):
    """Promised at any age for any time: meanwhile nothing is overdue; after it the age goes on from there."""
    debt = Debt(DUE, "INV-1", Money(8690, "AUD"))
    made = DUE + timedelta(days=age)
    promised = [Promise(made, made + timedelta(days=length))]
    end = promised[0].until
    assert overdue([debt], promised, made) == overdue([debt], promised, end) == []
    after = end + timedelta(days=later)
    assert stage(DEFAULT, [debt], promised, after) == stage(DEFAULT, [debt], [], made + timedelta(days=later))
    assert effective_due(DUE, [*promised, *promised], after) == DUE + timedelta(days=length)


def test_effects_are_by_type_of_service():
    """Throttled, then in the garden, then blocked; a telephone is left alone until it is blocked."""
    assert [effect(STRICT, n) for n in range(5)] == ["", "", "throttle", "walled-garden", "block"]
    assert [effect(STRICT, n, "voice") for n in range(5)] == ["", "", "", "block", "block"]


def test_a_calendar_that_never_ends_stops_nobody():
    """Holidays until the end of time, stored before they were refused: the step never comes, and nothing breaks."""
    never = (*(date(2026, 1, 1) + timedelta(days=n) for n in range(500)), date(2999, 12, 31), date.max)
    calendar = Calendar(holidays=never, eve=1, notice=5)
    assert list(entries(Policy(STRICT.steps, 0, {}, calendar), DUE))[-1] > never[499]
    assert Calendar(days_off=DAYS).next_permitted(DUE) == Calendar(days_off=DAYS).later(DUE, 1) == LAST
    policy = Policy(STRICT.steps, 0, {}, Calendar(days_off=DAYS, eve=5, notice=60))
    assert list(entries(policy, DUE))[1:] == [LAST] * 3
    owed = [Debt(DUE, "INV-1", Money(8690, "AUD"))]
    assert permitted(policy, stage(policy, owed, [], LATE), {1: DUE}, LATE) == 1


def test_holidays_are_for_a_year_at_most(tmp_path: Path):
    """The first of those that leave no day for 366 is named with its place; for a year there may be none."""
    file = tmp_path / "policy.yaml"
    for count, off, told in (
        (367, "[]", "2026-04-03"),
        (366, "[]", "2026-04-03"),
        (364, "[]", ""),
        (360, "[sat, sun]", ""),
    ):
        long = [str(date(2026, 4, 3) + timedelta(days=n)) for n in range(count)]
        file.write_text(
            f"steps: [{{name: a, days: 1}}]\ncalendar:\n  notice: 3\n  days_off: {off}\n"
            f"  holidays: [2026-01-01, {', '.join(long)}]\n"
        )
        if not told:
            policies.require_usable("long", policies.read("long", file))
            continue
        with pytest.raises(
            PolicyNotUsable, match=rf"policy\.yaml:5:26: from {told} on no service may be restricted"
        ):
            policies.read("long", file)


def test_the_next_step_is_told_with_its_day():
    """Due on Thursday the 15th, a day of grace: slow would be on Friday before a holiday: it is on Tuesday the 27th."""
    owed = [Debt(DUE, "INV-1", Money(8690, "AUD"))]
    following = next_step(STRICT, owed, [], {1: date(2026, 1, 17)}, date(2026, 1, 20))
    assert following is not None
    day, step = following
    assert (day, step.name) == (date(2026, 1, 27), "slow")
    assert next_step(STRICT, [], [], {}, DUE) is None


# Recorded


def test_each_channel_gets_a_notice_once_and_each_fee_is_billed_once(database: Database):
    """Two runs a day for two months: a row and an event for each channel of each step, two fees, on the next bill."""
    stage_ = owing(database, STRICT)
    for offset in range(60):
        for _ in range(2):
            dun(stage_, DUE + timedelta(days=offset))
    with database.read() as conn:
        rows = [row for row in notices.made(conn) if row["account_id"] == stage_.account]
        assert list(notices.made(conn, channel="call", until=date(2026, 2, 1))) == []
        fees = (
            conn.execute(sa.select(billable.c.amount).where(billable.c.account_id == stage_.account))
            .scalars()
            .all()
        )
    assert [(row["stage"], row["channel"]) for row in rows] == [
        (1, "e-mail"), (1, "sms"), (2, "letter"), (3, "call"), (4, "letter"), (4, "call"),
    ]  # fmt: skip
    assert {(row["amount"], tuple(row["invoices"])) for row in rows} == {
        (8690, (f"INV-{stage_.entity}-000001",))
    }
    assert [one["channel"] for one in told(stage_, "dunning.notice")] == [row["channel"] for row in rows]
    assert sorted(fees) == [500, 1500]
    run_billing(database, stage_.reader, date(2026, 4, 1))
    assert sorted(one.kind for one in _lines(stage_) if one.kind == "late-fee") == ["late-fee"] * 2


def _lines(stage_: Stage):
    from billing.models import invoice, invoice_line

    query = sa.select(invoice_line).join(invoice, invoice.c.id == invoice_line.c.invoice_id)
    return stage_._rows(query.where(invoice.c.account_id == stage_.account))


def test_services_are_throttled_then_walled_then_blocked_by_files_that_are_valid(database: Database):
    """Each step's change set has the file of its effect; a telephone is blocked with the garden."""
    stage_ = owing(database, STRICT)
    voice = stage_.add(type="voice")
    net = next(iter(stage_.services))
    seen = []
    for offset in range(60):
        run = dun(stage_, DUE + timedelta(days=offset))
        for one in changes_of(database, run.hold_set) if run.hold_set else []:
            written = yaml.safe_load(one.content)
            seen.append((run.run_on, one.path, written["effect"], written.get("rate")))
    mine = {service: [(on, what, rate) for on, path, what, rate in seen if path == path_of("hold", f"{service}.nonpayment")]  # noqa: E501
            for service in (net, voice)}  # fmt: skip
    assert [what for _, what, _ in mine[net]] == ["throttle", "walled-garden", "block"]
    assert mine[net][0][2] == {"down": "1M", "up": "512k"}
    assert [what for _, what, _ in mine[voice]] == ["block"]
    assert all(WORKDAYS.permits(on) for on, _, _, _ in seen)


def test_less_than_the_minimum_is_left_alone_and_released(database: Database):
    """86.90 is dunned for; once 19.90 are left, nothing is, and what was held is free at once."""
    stage_ = owing(database, Policy((Step("stop", 1, "block"),), minimum={"AUD": "20.00"}))
    dun(stage_, LATE)
    assert set(held(stage_)) == set(stage_.services)
    assert len(pay(stage_, 6700, LATE).set_ids) == 1
    assert dun(stage_, LATE + timedelta(days=30)).held == ()
    assert "is less than the 20.00 that the policy duns for" in " ".join(_status(stage_, LATE).why)


def _status(stage_: Stage, on: date):
    with stage_.database.write() as conn:
        return status(conn, stage_.reader, stage_.account, on)


def test_hardship_frees_at_once_with_a_higher_fence_and_nothing_happens_meanwhile(database: Database):
    """Invariants 30 to 32: one deletion of the nonpayment file, outrunning the hold; afterwards it goes on."""
    stage_ = owing(database)
    run = dun(stage_, LATE)
    with database.write() as conn:
        with pytest.raises(HardshipNotUsable, match="has passed"):
            hardships.grant(
                conn, stage_.account, LATE - timedelta(days=1), reason="flood", actor="anna", on=LATE
            )
        with pytest.raises(HardshipNotUsable, match="say why"):
            hardships.grant(conn, stage_.account, LATE, reason=" ", actor="anna", on=LATE)
        until = LATE + timedelta(days=60)
        (set_id,) = hardships.grant(conn, stage_.account, until, reason="flood", actor="anna", on=LATE)
    (put,), (gone,) = changes_of(database, run.hold_set), changes_of(database, set_id)
    assert (gone.op, gone.path, gone.fence_version > put.fence_version) == ("delete", put.path, True)
    assert told(stage_, "hardship.granted")[0]["reason"] == "flood"
    for offset in (1, 30, 60):
        assert dun(stage_, LATE + timedelta(days=offset)).held == ()
    assert "flood" in _status(stage_, LATE).why[0]
    assert dun(stage_, until + timedelta(days=1)).held == tuple(stage_.services)


def test_hardship_can_be_ended_by_a_person(database: Database):
    """From that day on dunning goes on; ending it again ends nothing."""
    stage_ = owing(database)
    with database.write() as conn:
        hardships.grant(conn, stage_.account, date(2026, 12, 31), reason="flood", actor="anna", on=DUE)
        assert hardships.end(conn, stage_.account, actor="bert", on=LATE) == 1
        assert hardships.end(conn, stage_.account, actor="bert", on=LATE) == 0
        (row,) = hardships.of_account(conn, stage_.account)
    assert (row["until"], row["actor"], row["ended_by"]) == (LATE - timedelta(days=1), "anna", "bert")
    assert dun(stage_, LATE + timedelta(days=13)).held == tuple(stage_.services)


def promise(stage_: Stage, until: date, on: date = LATE, parts=()):
    """Promise to pay."""
    with stage_.database.write() as conn:
        money = [(day, Money(minor, "AUD")) for day, minor in parts]
        return promises.make(conn, stage_.account, until, actor="anna", on=on, parts=money)


def test_a_broken_promise_holds_on_the_next_day(database: Database):
    """It resumes at the stage where it stood: suspension, and no notice is written a second time."""
    stage_ = owing(database)
    dun(stage_, LATE)
    assert len(promise(stage_, LATE + timedelta(days=9))) == 1
    assert dun(stage_, LATE + timedelta(days=9)).held == ()
    assert dun(stage_, LATE + timedelta(days=10)).held == tuple(stage_.services)
    assert [one["until"] for one in told(stage_, "promise.broken")] == [str(LATE + timedelta(days=9))]
    dun(stage_, LATE + timedelta(days=11))
    assert len(told(stage_, "promise.broken")) == 1
    with database.read() as conn:
        count = (
            sa.select(sa.func.count())
            .select_from(dunning_notice)
            .where(dunning_notice.c.account_id == stage_.account)
        )
        assert conn.execute(count).scalar_one() == 3


def test_instalments_hold_dunning_up_until_one_is_missed(database: Database):
    """30 + 30 + 26.90: the first is paid a day early, the second never: held the day after it."""
    stage_ = owing(database)
    dun(stage_, LATE)
    first, second, last = (LATE + timedelta(days=n) for n in (7, 14, 21))
    promise(stage_, last, parts=[(first, 3000), (second, 3000)])
    pay(stage_, 3000, first - timedelta(days=1))
    assert dun(stage_, first + timedelta(days=1)).held == ()
    assert dun(stage_, second).held == ()
    assert dun(stage_, second + timedelta(days=1)).held == tuple(stage_.services)
    with database.read() as conn:
        (one,) = pledges.of_accounts(conn, [stage_.account])
    assert (one.ends, one.state(second), one.state(last)) == (second, pledges.OPEN, pledges.BROKEN)
    assert one.missing(second).minor == 3000


def test_a_promise_that_is_kept_is_told_once(database: Database):
    """Also when the payment came on the very day, and when a residue below one unit is left."""
    stage_ = owing(database)
    dun(stage_, LATE)
    promise(stage_, LATE + timedelta(days=9))
    pay(stage_, 8650, LATE)
    for offset in (1, 2):
        dun(stage_, LATE + timedelta(days=offset))
    assert [len(told(stage_, f"promise.{state}")) for state in ("kept", "broken")] == [1, 0]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([(LATE + timedelta(days=1), 9000)], "AUD 86.90 is due, and the last day takes the rest"),
        ([(LATE + timedelta(days=30), 10)], "its days come one after the other"),
        ([(LATE + timedelta(days=1), 0)], "AUD 0.00 is no instalment"),
    ],
)
def test_instalments_that_do_not_add_up_are_one_sentence(database: Database, parts, words):
    """And nothing is recorded."""
    stage_ = owing(database)
    with pytest.raises(InstalmentsNotUsable, match=words):
        promise(stage_, LATE + timedelta(days=9), parts=parts)
    with database.read() as conn:
        assert pledges.of_accounts(conn, [stage_.account]) == []


def test_status_says_why_and_what_is_next(database: Database):
    """Held, and blocked next; paid, and nothing."""
    stage_ = owing(database, STRICT)
    dun(stage_, DUE + timedelta(days=2))
    found = _status(stage_, DUE + timedelta(days=5))
    assert (found.stage, found.step, found.next_step, found.next_on) == (
        1,
        "reminder",
        "slow",
        date(2026, 1, 27),
    )
    assert "overdue since 2026-01-15, 5 days" in found.why[0]
    pay(stage_, 8690, LATE)
    assert (_status(stage_, LATE).next_on, _status(stage_, LATE).why) == (None, ("nothing is open",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("steps: [", r"policy.yaml:1 is no YAML|policy.yaml:2 is no YAML"),
        ("steps: [{name: a, days: 1, efect: block}]", "policy.yaml: .*efect"),
        ("steps: [{name: a, days: 1, effect: throttle}]", "throttle and rate need each other"),
        ("steps: [{name: a, days: 1, effect: throttle, rate: [quick, 1M]}]", "is no rate"),
        ("steps: [{name: a, days: 1, channels: [pigeon]}]", "'pigeon' is no channel"),
        ("steps: [{name: a, days: 1, fee: {AUD: free}}]", "'free' is no amount of AUD"),
        (
            "steps: [{name: a, days: 1, services: {voice: throttle}, rate: [1M, 1M]}]",
            "can only be blocked or left alone",
        ),
        ("steps: [{name: a, days: 1}, {name: a, days: 2}]", "two of its steps have one name"),
        ("steps: [{name: a, days: 9999999}]", "at most 3660 days after the due date"),
        ("{steps: [{name: a, days: 1}], grace: 9999999}", "and grace is no more"),
        ("{steps: [{name: a, days: 1}], minimum: {AUD: '-1'}}", "not more than nothing"),
        ("{steps: [{name: a, days: 1}], calendar: {days_off: [sunday]}}", "'sunday' is no day of the week"),
        (
            "{steps: [{name: a, days: 1}], calendar: {holidays: [9999-12-31]}}",
            r"yaml:1:53: 9999-12-31 is too far off",
        ),
        (
            "{steps: [{name: a, days: 1}], calendar: {days_off: [mon, tue, wed, thu, fri], eve: 2}}",
            "no day of the week on which",
        ),
    ],
)
def test_a_policy_that_makes_no_sense_is_one_sentence(
    database: Database, tmp_path: Path, text: str, words: str
):
    """With the file, and nothing is stored."""
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    with pytest.raises(PolicyNotUsable, match=words), database.write() as conn:
        policies.store(conn, "odd", policies.read("odd", file))
    with database.read() as conn:
        assert "odd" not in debts.policies(conn)


def test_a_policy_reads_from_yaml_as_it_is_shown(database: Database, tmp_path: Path):
    """What the database gives back is what was written."""
    import msgspec

    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump(msgspec.to_builtins(STRICT)))
    with database.write() as conn:
        policies.store(conn, "strict", policies.read("strict", file))
        assert debts.policies(conn)["strict"] == STRICT


@FEW
@given(
    st.sampled_from([None, STRICT]),
    st.lists(
        st.tuples(
            st.integers(1, 25), st.sampled_from(["bill", "dun", "dun", "pay", "promise", "plan", "hardship", "end"]),
            st.integers(1, 9_000),
        ),
        min_size=3, max_size=10,
    ),
)  # fmt: skip
def test_invariants_30_to_33_with_everything(database: Database, policy, story):
    """Any story: nothing dunned for, nothing held; holds on permitted days only; stages in order; each notice once."""
    stage_ = owing(database, policy)
    today = START
    for n, (gap, what, minor) in enumerate(story):
        today += timedelta(days=gap)
        before = held(stage_)
        if what == "bill":
            run_billing(database, stage_.reader, today)
        elif what == "pay":
            pay(stage_, minor, today, str(n))
        elif what == "dun":
            run = dun(stage_, today)
            if policy is not None and run.held:
                assert WORKDAYS.permits(today) or set(run.held) <= set(before)
            assert dun(stage_, today).hold_set is None
        elif what == "hardship":
            with database.write() as conn:
                hardships.grant(
                    conn, stage_.account, today + timedelta(days=gap), reason="r", actor="anna", on=today
                )
            assert held(stage_) == {}
        elif what == "end":
            with database.write() as conn:
                hardships.end(conn, stage_.account, actor="anna", on=today)
        else:
            with database.read() as conn:
                due = sum(
                    one.balance for one in debts.open_balances(conn, stage_.account) if one.due <= today
                )
            parts = [(today + timedelta(days=3), due // 2)] if what == "plan" and due > 1 else ()
            promise(stage_, today + timedelta(days=gap + 4), today, parts)
            assert held(stage_) == {}
        case = case_of(stage_)
        if what not in ("bill", "end"):
            assert case.late(today) or not case.held
    with database.read() as conn:
        rows = conn.execute(
            sa.select(dunning_stage).where(dunning_stage.c.account_id == stage_.account)
        ).all()
        sent = conn.execute(
            sa.select(dunning_notice).where(dunning_notice.c.account_id == stage_.account)
        ).all()
    by_case: dict = {}
    for row in sorted(rows, key=lambda row: row.seq):
        by_case.setdefault(row.debt_due, []).append(row.stage)
    assert all(found == list(range(1, len(found) + 1)) for found in by_case.values())
    steps = (policy or DEFAULT).steps
    expected = sorted(
        (row.debt_due, row.stage, channel) for row in rows for channel in steps[row.stage - 1].channels
    )
    assert sorted((row.debt_due, row.stage, row.channel) for row in sent) == expected
    reasons = {
        change.path.rsplit(".", 2)[-2]
        for row in all_sets(database)
        for change in changes_of(database, row.set_id)
    }
    assert reasons <= {"nonpayment"}
