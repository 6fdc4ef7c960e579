"""Plan changes, ends, vacations, moves, transfers: agreed, carried out on their day, exact to the day."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
import sqlalchemy as sa

from billing import accounts, canonical, hearing, payments, subscriptions, taxes
from billing.agenda import effect, entries
from billing.agenda import transfers as billing_transfers
from billing.agenda.dates import day_of
from billing.agenda.errors import AgendaEntryUnknown, NotAgreeable, NotYet
from billing.agenda.moments import begins
from billing.agenda.telling import told
from billing.agenda.trial import trial
from billing.billrun import run_billing
from billing.dunning import run_dunning
from billing.models import charge, invoice
from billing.wallet import prepaid
from core import clock, events
from core.db import Database
from core.jobs import Worker
from core.money import Money
from crm.changes import ends, job, performing, plans, transfers, vacations
from crm.errors import PlanUnknown, ServiceUnknown
from intents.plan.schema import Plan, Prepaid
from intents.reader import MemoryReader
from tests.billing.stage import Stage, all_sets, changes_of, price, reader_of

TODAY = date(2026, 1, 20)
START = date(2026, 1, 1)


@pytest.fixture(autouse=True)
def _noon():
    """Noon of 20 January 2026 in Perth."""
    with clock.frozen(datetime(2026, 1, 20, 4, tzinfo=UTC)):
        yield


class Desk(Stage):
    """A stage with the support desk's commands."""

    def agree(self, ask: Any, *args: Any, **given: Any) -> list[entries.Entry]:
        """Ask, and carry out what is due, in one transaction."""
        with self.database.write() as conn:
            found = ask(conn, self.reader, *args, actor="anna", **given)
            return performing.at_once(conn, self.reader, *(found if isinstance(found, tuple) else (found,)))

    def change(self, service: str, plan: str = "slow", at: str = "now", **given: Any) -> entries.Entry:
        """Change a plan."""
        return self.agree(plans.ask, service, plan, at, **given)[0]

    def land(self, entry: entries.Entry, how: str = "landed") -> None:
        """Its change set lands, or not."""
        with self.database.write() as conn:
            entry = entries.lock(conn, entry.id)
            assert entry.set_id is not None
            if how == "landed":
                performing.landed(conn, entry.set_id)
            else:
                performing.refused(conn, entry.set_id, "rejected: no such plan")

    def work(self, day: date) -> None:
        """The worker lives until noon of a day: jobs and deliveries."""
        job.register(lambda: trial_reader(self.reader))
        with clock.frozen(datetime(day.year, day.month, day.day, 4, tzinfo=UTC)):
            Worker(self.database, "test").run_until_idle()

    def state(self, entry: entries.Entry) -> str:
        """Where an entry is."""
        with self.database.write() as conn:
            return entries.lock(conn, entry.id).state

    def other_account(self, anchor: int) -> tuple[str, str]:
        """The customer, and another account of theirs under the same tax, entity and zone (a desk of `both`)."""
        with self.database.write() as conn:
            taxes.set_rate(conn, "gst", "10%", profile="both", valid_from=date(2000, 1, 1))
            customer = accounts.get(conn, self.account).customer_ref
            return customer, accounts.open_account(
                conn, customer, currency="AUD", timezone="Australia/Perth", anchor=anchor, tax_profile="both",
                legal_entity="both",
            )  # fmt: skip

    def bill(self, on: date) -> int:
        """Run billing; returns all that was ever charged, as listed."""
        run_billing(self.database, self.reader, on)
        return self.net()


class trial_reader:
    """A reader as a snapshot."""

    def __init__(self, reader: MemoryReader) -> None:
        self._reader = reader

    def __enter__(self) -> MemoryReader:
        return self._reader

    def __exit__(self, *_: object) -> None:
        return None


def test_a_change_today_is_one_transaction_in_billing_and_in_the_file(database: Database):
    """79 for nineteen days and 49 for twelve; the file names the plan; landing makes it done."""
    desk = Desk(database)
    service = desk.add(START)
    desk.bill(START)
    entry = desk.change(service)
    assert (entry.state, entry.due_on) == ("asked", TODAY)
    (written,) = changes_of(database, entry.set_id)
    assert b"plan: slow" in written.content
    (queued,) = all_sets(database)
    assert (queued.actor, queued.reason, queued.correlation) == ("crm", "plan-change", entry.id)
    assert desk.bill(TODAY) == 4842 + 1897  # 79.00 x 19/31, 49.00 x 12/31
    desk.land(entry)
    assert desk.state(entry) == "done"


def test_a_refused_file_takes_billing_back(database: Database):
    """The network refuses: the next bill is as if nothing had been said, and somebody hears why."""
    desk = Desk(database)
    service = desk.add(START)
    entry = desk.change(service)
    desk.land(entry, "rejected")
    assert desk.state(entry) == "failed"
    assert desk.bill(TODAY) == 7900
    with database.read() as conn:
        (event,) = events.recent(conn, ["agenda.failed"])
        assert event.data["why"] == "rejected: no such plan"
        assert told(conn, service)["items"][0]["pinned"]["plan"] == "fibre"


def test_backdated_the_difference_is_billed(database: Database):
    """On the 20th for the 5th: dry says what the next bill changes by, and then it does."""
    desk = Desk(database)
    service = desk.add(START)
    desk.bill(START)
    before = canonical_of(desk)
    with trial(database, dry=True) as conn:
        plans.ask(conn, desk.reader, service, "slow", "2026-01-05", actor="a")
    assert canonical_of(desk) == before
    desk.change(service, at="2026-01-05")
    with database.read() as conn:
        owed = effect.pending(conn, accounts.get(conn, desk.account), TODAY)
    exact = 1019 + 4268  # 79.00 x 4/31, 49.00 x 27/31
    assert owed == Money(exact - 7900, "AUD")
    assert desk.bill(TODAY) == exact


def canonical_of(desk: Desk) -> str:
    """Its books."""
    with desk.database.read() as conn:
        return canonical.export(conn, desk.account)


def test_a_later_change_is_durable_and_carried_out_on_its_day_by_a_job(database: Database):
    """At period end: nothing until 1 February; then one set, and February costs the new price, pinned when agreed."""
    desk = Desk(database)
    service = desk.add(START)
    entry = desk.change(service, at="period-end")
    assert (entry.state, entry.due_on, all_sets(database)) == ("scheduled", date(2026, 2, 1), [])
    desk.work(date(2026, 1, 31))
    assert desk.state(entry) == "scheduled"
    desk.work(date(2026, 2, 1))
    assert desk.state(entry) == "asked"
    desk.work(date(2026, 2, 1))
    assert len(all_sets(database)) == 1
    assert desk.bill(date(2026, 2, 1)) == 7900 + 4900


def test_what_cannot_be_carried_out_on_its_day_fails_and_says_why(database: Database):
    """The service ceased in Git meanwhile: no dead job, an entry that failed, an event."""
    desk = Desk(database)
    service = desk.add(START)
    entry = desk.change(service, at="2026-02-01")
    desk.services[service] = msgspec.structs.replace(desk.services[service], state="ceased")
    desk.work(date(2026, 2, 1))
    with database.write() as conn:
        found = entries.lock(conn, entry.id)
    assert (found.state, found.reason) == ("failed", f"service {service}: it is ceased")


@pytest.mark.parametrize(
    ("args", "error", "words"),
    [
        (("slow", "tomorrow"), NotAgreeable, "'tomorrow' is no day"),
        (("slow", "2025-12-31"), NotAgreeable, "before its first billed day"),
        (("gold", "now"), PlanUnknown, "no plan 'gold'"),
        (("talk", "now"), NotAgreeable, "is internet, and plan talk is voice"),
        (("pre", "now"), NotAgreeable, "prepaid and postpaid"),
    ],
)
def test_a_change_that_makes_no_sense_is_one_sentence(database: Database, args, error, words: str):
    """Day, plan, kind of service, prepaid."""
    desk = Desk(database)
    service = desk.add(START)
    more = {
        "talk": Plan(type="voice", prices=(price("a", "9.00"),)),
        "pre": Plan(type="internet", prices=(price("a", "9.00"),), prepaid=Prepaid()),
    }
    reader = reader_of(desk.services, more)
    with database.write() as conn, pytest.raises(error, match=words):
        plans.ask(conn, reader, service, *args, actor="anna")


def test_a_second_change_waits_for_the_first_to_be_cancelled(database: Database):
    """One agreement at a time; a cancelled one is not carried out; what is done cannot be cancelled."""
    desk = Desk(database)
    service = desk.add(START)
    entry = desk.change(service, at="2026-02-01")
    with pytest.raises(NotAgreeable, match="agreed already"):
        desk.change(service, "yearly", at="2026-03-01")
    with database.write() as conn:
        entries.cancel(conn, entry.id, actor="anna")
        with pytest.raises(NotAgreeable, match="is cancelled"):
            entries.cancel(conn, entry.id, actor="anna")
        with pytest.raises(AgendaEntryUnknown, match="agenda"):
            entries.lock(conn, "agd_x")
    desk.work(date(2026, 2, 1))
    assert all_sets(database) == []


def test_invariant_9_a_change_and_its_reverse_on_one_day_bill_nothing(database: Database):
    """Slow and back to fibre on the 20th: the bill is that of fibre."""
    desk = Desk(database)
    service = desk.add(START)
    desk.bill(START)
    first = desk.change(service)
    desk.land(first)
    desk.services[service] = msgspec.structs.replace(desk.services[service], plan="slow")
    desk.change(service, "fibre")
    assert desk.bill(TODAY) == 7900


def test_an_end_on_a_day_is_billed_to_the_day_before_whenever_it_lands(database: Database):
    """Agreed for 10 February, landed two days late: billed to the 9th exactly; what was agreed for later is dropped."""
    desk = Desk(database)
    service = desk.add(START)
    later = desk.change(service, at="2026-03-01")
    (entry,) = desk.agree(ends.ask, service, "2026-02-10")
    desk.work(date(2026, 2, 10))
    assert desk.state(later) == "cancelled"
    with clock.frozen(datetime(2026, 2, 12, 4, tzinfo=UTC)), database.write() as conn:
        set_id = str(entries.lock(conn, entry.id).set_id)
    from crm import cessation

    with clock.frozen(datetime(2026, 2, 12, 4, tzinfo=UTC)):
        with database.write() as conn:
            cessation.landed(conn, set_id)
            performing.landed(conn, set_id)
        Worker(database, "test").run_until_idle()
        with database.read() as conn:
            (event,) = events.recent(conn, ["service.ceased"])
        with database.write() as conn:
            hearing.service_ceased(conn, event)
    assert desk.bill(date(2026, 2, 12)) == 7900 + 2539  # 79.00 x 9/28
    assert desk.state(entry) == "done"


def test_an_end_at_period_end_bills_the_whole_period_also_where_the_day_is_the_old_states(database: Database):
    """Change day `new`: 1 February is the first unbilled; `old`: 31 January is the last one billed."""
    for change_day, day in (("new", date(2026, 2, 1)), ("old", date(2026, 1, 31))):
        desk = Desk(database, change_day=change_day)
        service = desk.add(START)
        with database.read() as conn:
            item = subscriptions.item(conn, service)
            owner = accounts.get(conn, desk.account)
            assert day_of(owner, item, "period-end") == day
        with database.write() as conn:
            subscriptions.cease(conn, service, day, "t")
        assert desk.bill(date(2026, 2, 5)) == 7900


def test_a_vacation_is_not_billed_from_its_first_day_to_its_last(database: Database):
    """25 January to 10 February: 24/31 of January and 19/28 of February; the hold comes and goes on these days."""
    desk = Desk(database)
    service = desk.add(START)
    begin, end = desk.agree(vacations.ask, service, date(2026, 1, 25), date(2026, 2, 10))
    desk.bill(START)
    desk.work(date(2026, 1, 25))
    (held,) = changes_of(database, _set_of(desk, begin))
    assert (held.op, held.fence_version) == ("put", 1)
    assert held.path.endswith(f"{service}.vacation.yaml")
    assert desk.bill(date(2026, 2, 1)) == 6116
    desk.work(date(2026, 2, 10))
    (freed,) = changes_of(database, _set_of(desk, end))
    assert (freed.op, freed.fence_version) == ("delete", 2)
    assert desk.bill(date(2026, 2, 10)) == 6116 + 5361


def _set_of(desk: Desk, entry: entries.Entry) -> str | None:
    with desk.database.write() as conn:
        return entries.lock(conn, entry.id).set_id


def test_a_vacation_may_end_earlier_or_later_or_be_forgotten(database: Database):
    """A new end; cancelled before it begins nothing happened; cancelled within, it ends today."""
    desk = Desk(database)
    service = desk.add(START)
    begin, _ = desk.agree(vacations.ask, service, date(2026, 1, 25), date(2026, 2, 10))
    with pytest.raises(NotAgreeable, match="agreed already"):
        desk.agree(vacations.ask, service, date(2026, 3, 1), date(2026, 3, 5))
    with database.write() as conn:
        with pytest.raises(NotAgreeable, match="cancels both ends"):
            performing.cancel(conn, begin.id, actor="anna")
        with pytest.raises(NotAgreeable, match="cancel it rather"):
            vacations.until(conn, service, date(2026, 1, 25), actor="anna")
        assert vacations.until(conn, service, date(2026, 2, 20), actor="anna").due_on == date(2026, 2, 20)
        vacations.cancel(conn, service, actor="anna")
    assert desk.state(begin) == "cancelled"
    desk.work(date(2026, 2, 20))
    assert all_sets(database) == []
    begin, _ = desk.agree(vacations.ask, service, date(2026, 1, 10), date(2026, 2, 10))
    assert begin.state == "asked"
    with database.write() as conn:
        performing.at_once(conn, desk.reader, vacations.cancel(conn, service, actor="anna"))
        with pytest.raises(NotAgreeable, match="no vacation"):
            vacations.cancel(conn, service, actor="anna")
    assert desk.bill(TODAY) == 7900 * 9 // 31 + 3058 + 1  # 9 days, then 12 days with the residue


def test_a_vacation_in_the_past_needs_no_hold_and_a_refused_hold_is_billed(database: Database):
    """5 to 12 January, told on the 20th: 24 days are billed. A hold that is refused: all 31."""
    desk, other = Desk(database), Desk(database)
    service = desk.add(START)
    found = desk.agree(vacations.ask, service, date(2026, 1, 5), date(2026, 1, 12))
    assert [one.state for one in found] == ["done", "done"]
    assert desk.bill(TODAY) == 6116
    again = other.add(START)
    begin, end = other.agree(vacations.ask, again, TODAY, date(2026, 2, 12))
    other.land(begin, "rejected")
    assert other.bill(TODAY) == 7900
    assert other.state(end) == "cancelled"


def test_a_vacation_that_makes_no_sense_is_one_sentence(database: Database):
    """Backwards, before activation, of nothing."""
    desk = Desk(database)
    service = desk.add(START)
    for since, until, words in [
        (date(2026, 2, 2), date(2026, 2, 2), "first day after"),
        (date(2025, 12, 1), date(2026, 2, 2), "not active on 2025-12-01"),
    ]:
        with pytest.raises(NotAgreeable, match=words):
            desk.agree(vacations.ask, service, since, until)
    desk.services.clear()
    with pytest.raises(ServiceUnknown):
        desk.agree(vacations.ask, service, date(2026, 2, 1), date(2026, 2, 2))


def test_each_account_pays_its_days_of_a_transferred_service(database: Database):
    """From 11 January: 10/31 stay with the old one, whose rest becomes credit; 21/31 are the new one's."""
    old = Desk(database, legal_entity="both", tax_profile="both")
    customer, new = old.other_account(anchor=15)
    service = old.add(START)
    old.services[service] = msgspec.structs.replace(old.services[service], customer=customer)
    old.bill(START)
    with database.write() as conn:
        payments.pay(conn, old.account, Money(8690, "AUD"), "cash", old.entity, on=START)
    (entry,) = old.agree(transfers.ask, service, new, "2026-01-11")
    assert entry.state == "done"
    run_billing(database, old.reader, TODAY)
    assert old.net() == 2548  # 79.00 x 10/31
    with database.read() as conn:
        theirs = conn.execute(sa.select(charge).where(charge.c.account_id == new)).all()
        assert [(str(one.part_start), str(one.part_end)) for one in theirs] == [
            ("2026-01-11", "2026-01-15"), ("2026-01-15", "2026-02-15"),
        ]  # fmt: skip
        assert payments.credit(conn, accounts.get(conn, old.account)).minor == 8690 - 2803
        found = told(conn, service)
        assert (found["account"], found["before"]) == (new, [{"account": old.account, "until": "2026-01-11"}])
    before = canonical_of(old)
    run_billing(database, old.reader, TODAY)
    assert canonical_of(old) == before


def test_to_another_customer_billing_follows_the_file_and_a_debt_stays(database: Database):
    """The file lands first; the hold for the old account's debt is lifted, and dunning does not set it again."""
    old, new = Desk(database), Desk(database)
    service = old.add(START)
    old.bill(START)
    assert run_dunning(database, old.reader, date(2026, 2, 1)).held == (service,)
    (entry,) = old.agree(transfers.ask, service, new.account, "now")
    assert entry.state == "asked"
    with database.read() as conn:
        assert subscriptions.item(conn, service).account == old.account
        customer = accounts.get(conn, new.account).customer_ref
    assert f"customer: {customer}".encode() in changes_of(database, entry.set_id)[0].content
    old.land(entry)
    with database.read() as conn:
        assert subscriptions.item(conn, service).account == new.account
    assert [one.op for one in changes_of(database, all_sets(database)[-1].set_id)] == ["delete"]
    assert run_dunning(database, old.reader, date(2026, 2, 10)).held == ()


def test_a_transfer_that_makes_no_sense_is_one_sentence(database: Database):
    """To itself, to another currency, before the first day."""
    desk, euro = Desk(database), Desk(database, currency="EUR")
    service = desk.add(START)
    for to, at, words in [
        (desk.account, "now", "already"), (euro.account, "now", "kept in EUR"),
        (Desk(database).account, "2025-12-01", "before its first day"),
    ]:  # fmt: skip
        with pytest.raises(NotAgreeable, match=words):
            desk.agree(transfers.ask, service, to, at)


def test_nothing_is_carried_out_before_its_day(database: Database):
    """Asked to do it too early, performing refuses, and the job is retried."""
    desk = Desk(database)
    entry = desk.change(desk.add(START), at="2026-02-01")
    with pytest.raises(NotYet, match="2026-02-01"):
        performing.perform(database, desk.reader, entry.id)
    assert performing.perform_due(database, desk.reader) == []


@pytest.mark.parametrize(
    ("zone", "day", "moment"),
    [
        ("Pacific/Apia", date(2011, 12, 30), "2011-12-30 10:00"),  # a day that Samoa never had
        ("Pacific/Apia", date(2026, 1, 1), "2025-12-31 11:00"),
        ("Asia/Kathmandu", date(2026, 1, 1), "2025-12-31 18:15"),
        ("America/St_Johns", date(2026, 3, 8), "2026-03-08 03:30"),
        ("America/St_Johns", date(2006, 4, 2), "2006-04-02 03:30"),  # clocks went forward at 00:01
        ("America/Sao_Paulo", date(2018, 11, 4), "2018-11-04 03:00"),  # there was no midnight
        ("Pacific/Kiritimati", date(2026, 1, 1), "2025-12-31 10:00"),
        ("Etc/GMT+12", date(2026, 1, 1), "2026-01-01 12:00"),
    ],
)
def test_a_day_begins_where_the_account_lives(zone: str, day: date, moment: str):
    """Also where clocks skip midnight or a whole day: the first moment that is not before it."""
    found = begins(day, zone)
    assert found == datetime.fromisoformat(moment).replace(tzinfo=UTC)
    where = ZoneInfo(zone)
    assert found.astimezone(where).date() >= day > (found - timedelta(minutes=2)).astimezone(where).date()


@pytest.mark.parametrize("zone", ["Pacific/Apia", "Asia/Kathmandu", "America/St_Johns", "Etc/GMT+12"])
@pytest.mark.parametrize(("currency", "anchor"), [("JPY", 31), ("KWD", 15), ("AUD", 1)])
def test_invariant_12_a_change_tonight_bills_and_releases_alike_in_every_zone_and_currency(
    database: Database, zone: str, currency: str, anchor: int
):
    """Bill, change at the last moment of a local day, dun, pay, release: only local dates and minor units matter."""
    desk = Desk(database, timezone=zone, currency=currency, anchor=anchor)
    amounts = {"JPY": ("7900", "4900"), "KWD": ("7.900", "4.900"), "AUD": ("79.00", "49.00")}[currency]
    sold = {
        "fibre": Plan(type="internet", prices=(price("a", amounts[0]),)),
        "slow": Plan(type="internet", prices=(price("a", amounts[1]),)),
    }
    from billing import catalog

    service = f"S-{desk.number}-1"
    from tests.billing.stage import a_service

    desk.services[service] = a_service()
    reader = reader_of(desk.services, sold)
    with database.write() as conn:
        terms = catalog.price_on(reader, "fibre", START, currency).terms
        subscriptions.activate(conn, desk.account, service, terms, START, "t")
    night = begins(date(2026, 1, 21), zone) - timedelta(seconds=1)
    with clock.frozen(night):
        run_billing(database, reader, TODAY)
        with database.write() as conn:
            (entry,) = performing.at_once(
                conn, reader, plans.ask(conn, reader, service, "slow", "now", actor="anna")
            )
        assert entry.due_on == TODAY
        run_billing(database, reader, TODAY)
    whole, half = (Money.parse(text, currency).minor for text in amounts)
    last = {1: date(2026, 2, 1), 15: date(2026, 2, 15), 31: date(2026, 1, 31)}[anchor]
    with database.read() as conn:
        owed = conn.execute(
            sa.select(sa.func.sum(invoice.c.net)).where(invoice.c.account_id == desk.account)
        ).scalar_one()
    ought = whole * 19 / 31 + half * (last - TODAY).days / 31
    assert abs(float(owed) - ought) <= 2
    with database.read() as conn:
        due = conn.execute(
            sa.select(sa.func.max(invoice.c.due_on)).where(invoice.c.account_id == desk.account)
        )
        late = due.scalar_one() + timedelta(days=20)
    assert run_dunning(database, reader, late).held == (service,)
    with database.write() as conn:
        total = conn.execute(
            sa.select(sa.func.sum(invoice.c.total)).where(invoice.c.account_id == desk.account)
        ).scalar_one()
        paid = payments.pay(conn, desk.account, Money(int(total), currency), "cash", desk.entity, on=late)
    assert len(paid.set_ids) == 1
    assert paid.credit.minor == 0


def test_a_prepaid_service_changes_at_the_end_of_what_is_bought(database: Database):
    """Not in between, not by a vacation; at the end the next period costs the new price; a refusal takes it back."""
    from tests.billing.test_wallet import Shop

    shop = Shop(database)
    with clock.frozen(datetime(2026, 1, 31, 4, tzinfo=UTC)):
        shop.top("33")
        service = shop.open()
        with database.write() as conn:
            with pytest.raises(NotAgreeable, match="--at period-end"):
                plans.ask(conn, shop.reader, service, "big", "now", actor="a")
            with pytest.raises(NotAgreeable, match="needs no vacation"):
                vacations.ask(conn, shop.reader, service, date(2026, 2, 1), date(2026, 2, 9), actor="a")
            entry = plans.ask(conn, shop.reader, service, "big", "period-end", actor="a")
    assert entry.due_on == date(2026, 2, 28)
    with clock.frozen(datetime(2026, 2, 28, 4, tzinfo=UTC)):
        found = performing.perform(database, shop.reader, entry.id)
        with database.write() as conn:
            assert prepaid.get(conn, service).terms["plan"] == "big"
            performing.refused(conn, str(found.set_id), "x")
            assert prepaid.get(conn, service).terms["plan"] == "pre"


def test_a_prepaid_service_goes_to_another_wallet_with_what_is_bought(database: Database):
    """What is bought stays bought; the next period is paid by the new account."""
    from tests.billing.test_wallet import Shop

    old, new = Shop(database), Shop(database)
    with clock.frozen(datetime(2026, 1, 31, 4, tzinfo=UTC)):
        old.top("40")
        new.top("50")
        service = old.open()
        with database.write() as conn:
            billing_transfers.transfer(conn, service, new.account, date(2026, 2, 10), "anna")
    (bought,) = new.run(date(2026, 2, 28)).bought
    assert (bought.service, old.left(), new.left()) == (service, "AUD 7.00", "AUD 17.00")
    assert run_billing(database, old.reader, date(2026, 3, 1)).drafts == 0
