"""Moves on both databases: another line, the same login, the same bill; what the old place had comes to rest."""

from contextlib import nullcontext
from datetime import UTC, date, datetime
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from billing import accounts, subscriptions, taxes
from billing.agenda import entries
from billing.agenda.errors import NotAgreeable
from billing.billrun import run_billing
from billing.models import charge
from billing.wallet import prepaid
from core import clock
from core.db import Database
from crm import activation
from crm.access import Existing, Gpon
from crm.changes import job, moves, performing
from crm.errors import NotOrderable
from intents.models import change
from intents.reader import MemoryReader
from inventory import allocation
from tests.crm.test_orders import CPE, KEY, ONU, _identity, order, provision, state_of, tell
from tests.crm.town import TOWN, read, town

NOON = datetime(2026, 1, 20, 4, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _noon():
    """Noon of 20 January 2026 in Perth."""
    with clock.frozen(NOON):
        yield


class Home:
    """A customer whose service is active on a radio sector."""

    def __init__(self, database: Database) -> None:
        self.database = database
        order_id = order(database)
        self.files = {_identity(path): text for path, text in provision(database, order_id).items()}
        found = state_of(database, order_id)
        tell(database, "changeset.landed", str(found.set_id), set_id=found.set_id)
        self.service, self.line, self.account = str(found.service), str(found.line), found.account_id
        with database.write() as conn:
            taxes.set_rate(conn, "gst", "10%", valid_from=date(2000, 1, 1))

    def reader(self, more: dict[tuple[str, str], bytes] | None = None) -> MemoryReader:
        """The town with this home in it."""
        return town({**self.files, **(more or {})})

    def move(self, access: Any, reader: MemoryReader | None = None, at: str = "now") -> entries.Entry:
        """Ask for a move; carried out at once where it is for today."""
        using = reader or self.reader()
        with self.database.write() as conn:
            asked = moves.ask(conn, using, self.service, access, at, actor="anna")
            return performing.at_once(conn, using, asked)[0]

    def as_new(self, reader: MemoryReader, moment: datetime) -> tuple[entries.Entry, str]:
        """Move by a new service: the entry, and the new one, which is on trunk and does not work yet."""
        job.register(lambda: nullcontext(reader), KEY)
        with clock.frozen(moment):
            with self.database.write() as conn:
                asked = moves.ask(conn, reader, self.service, ONU, "now", actor="anna", as_new=True)
                (entry,) = performing.at_once(conn, reader, asked, key=KEY)
            tell(self.database, "changeset.landed", str(entry.set_id), set_id=entry.set_id)
        return entry, str((entry.undo or {})["service"])

    def written(self, entry: entries.Entry) -> dict[tuple[str, str], Any]:
        """What the move writes, read by the strict loader."""
        with self.database.read() as conn:
            rows = conn.execute(sa.select(change).where(change.c.set_id == entry.set_id)).all()
        return {_identity(row.path): read(*_identity(row.path), row.content).value for row in rows}

    def owned(self) -> dict[str, str]:
        """Scopes and values of the service."""
        with self.database.read() as conn:
            return allocation.owned(conn, self.service)


def test_a_service_moves_to_a_new_line_with_its_login_and_its_bill(database: Database):
    """From the sector to the PON: new line, VLANs and circuit; the old line ceases; nothing is billed for it."""
    home = Home(database)
    before = read("service", home.service, home.files["service", home.service]).value
    with database.read() as conn:
        story = subscriptions.item(conn, home.service).events
    run_billing(database, home.reader(), date(2026, 1, 20))
    entry = home.move(ONU)
    files = home.written(entry)
    service = files["service", home.service]
    assert (service.attach.svlan, service.attach.cvlan, service.attach.port) == (101, 1000, "eth1")
    assert (service.session.login, service.session.password) == (
        before.session.login,
        before.session.password,
    )
    assert service.session.bind == ("circuit",)
    assert (service.ipv6, service.plan) == (before.ipv6, before.plan)
    assert (files["line", service.line].serial, files["line", service.line].onu) == ("HWTC1A2B3C4D", 0)
    assert files["line", home.line].state == "ceased"
    tell(database, "changeset.landed", str(entry.set_id), set_id=entry.set_id)
    with database.write() as conn:
        assert entries.lock(conn, entry.id).state == "done"
        assert subscriptions.item(conn, home.service).events == story
    assert home.owned()["cvlan:101"] == "1000"
    assert run_billing(database, home.reader(), date(2026, 1, 21)).drafts == 0


def test_a_move_that_cannot_land_gives_everything_back(database: Database):
    """Rejected: the VLAN and the ONU id are free at once, the service stays where it is, somebody hears."""
    home = Home(database)
    before = home.owned()
    entry = home.move(ONU)
    assert home.owned() != before
    tell(
        database,
        "changeset.rejected",
        str(entry.set_id),
        set_id=entry.set_id,
        problems=[{"message": "taken"}],
    )
    assert home.owned() == before
    with database.write() as conn:
        found = entries.lock(conn, entry.id)
    assert (found.state, found.reason) == ("failed", "its change set was rejected: taken")


def test_to_a_line_that_is_there_and_still_used_by_others(database: Database):
    """Only the service changes and the old line ends; the line it moves to is not written."""
    home = Home(database)
    line = b"type: gpon\nstate: active\nolt: olt7\npon: 0/1/0\nonu: 0\nserial: HWTC00000001\n"
    other = b"customer: C-9\ntype: voice\nstate: active\nplan: voice\nline: L-7\nattach: {port: pots1}\n"
    reader = home.reader({("line", "L-7"): line, ("service", "S-77"): other})
    files = home.written(home.move(Existing(line="L-7"), reader))
    assert set(files) == {("service", home.service), ("line", home.line)}
    assert files["service", home.service].line == "L-7"


def test_a_move_that_makes_no_sense_is_one_sentence(database: Database):
    """The line it is on, no such PON; a second one is refused while one waits."""
    home = Home(database)
    with pytest.raises(NotAgreeable, match="already"):
        home.move(Existing(line=home.line))
    with pytest.raises(NotOrderable, match="no PON"):
        home.move(Gpon(olt="olt7", pon="9/9", serial="HWTC1A2B3C4D"))
    home.move(ONU, at="2026-02-01")
    with pytest.raises(NotAgreeable, match="agreed already"):
        home.move(ONU)


def test_a_new_service_takes_over_at_the_old_terms_and_the_old_one_ends_when_it_works(database: Database):
    """Price, account and rhythm go along, no set-up fee; every day is billed once, whichever service it is."""
    home = Home(database)
    dearer = {**TOWN["plan", "fibre"]}
    more = {"id": "z", "from": "2026-01-01", "amount": "99.00", "setup": "50.00", "tax": "gst"}
    dearer["prices"] = [*dearer["prices"], more]
    reader = home.reader({("plan", "fibre"): yaml.safe_dump(dearer).encode()})
    run_billing(database, reader, date(2026, 1, 20))
    entry, new = home.as_new(reader, datetime(2026, 1, 25, 4, tzinfo=UTC))
    with clock.frozen(datetime(2026, 1, 27, 4, tzinfo=UTC)):
        for _ in range(2):
            tell(database, "activation.confirmed", new, service=new)
        with database.read() as conn:
            (end,) = [one for one in entries.of_service(conn, home.service) if one.kind == "cease"]
            assert (end.due_on, end.state) == (date(2026, 1, 27), "asked")
            here, there = (subscriptions.item(conn, one) for one in (new, home.service))
            assert here.cadence_base == there.cadence_base
            terms = here.events[0].terms
            assert terms is not None
            assert (str(terms.price), terms.setup) == ("AUD 79.00", None)
        tell(database, "changeset.landed", str(end.set_id), set_id=end.set_id)
        run_billing(database, reader, date(2026, 1, 28))
    with database.write() as conn:
        rows = conn.execute(sa.select(charge).where(charge.c.account_id == home.account)).all()
        assert entries.lock(conn, entry.id).state == "done"
    back = {row.reverses for row in rows}
    standing = sorted(
        (str(row.part_start), str(row.part_end))
        for row in rows
        if row.reverses is None and row.id not in back
    )
    assert standing == [("2026-01-20", "2026-01-27"), ("2026-01-27", "2026-02-01")]


def test_what_cannot_be_built_anew_is_moved_as_it_is(database: Database):
    """A refused new service leaves the old one alone; voice keeps its number."""
    home = Home(database)
    with database.write() as conn:
        asked = moves.ask(conn, home.reader(), home.service, ONU, "now", actor="anna", as_new=True)
        (entry,) = performing.at_once(conn, home.reader(), asked, key=KEY)
    tell(
        database,
        "changeset.rejected",
        str(entry.set_id),
        set_id=entry.set_id,
        problems=[{"message": "taken"}],
    )
    with database.write() as conn:
        assert entries.lock(conn, entry.id).state == "failed"
        assert [one.kind for one in entries.of_service(conn, home.service)] == ["move"]
        voice = {**yaml.safe_load(home.files["service", home.service]), "type": "voice", "plan": "voice"}
        voice = {name: value for name, value in voice.items() if name not in ("session", "ipv4", "ipv6")}
        reader = home.reader({("service", home.service): yaml.safe_dump(voice).encode()})
        with pytest.raises(NotAgreeable, match="keeps its number"):
            moves.ask(conn, reader, home.service, ONU, "now", actor="anna", as_new=True)


def test_an_ordered_prepaid_plan_is_prepaid_from_its_activation(database: Database):
    """Order -> file -> landed: nothing for the bill run, lapsed until somebody tops up."""
    sold = {**TOWN["plan", "fibre"], "prepaid": {"exhausted": "block"}}
    reader = town({("plan", "fibre"): yaml.safe_dump(sold).encode()})
    order_id = order(database, CPE)
    activation.activate(database, reader, order_id, actor="staff-7", key=KEY)
    found = state_of(database, order_id)
    tell(database, "changeset.landed", str(found.set_id), set_id=found.set_id)
    with database.read() as conn:
        row = prepaid.get(conn, str(found.service))
        today = accounts.get(conn, found.account_id).today
        assert subscriptions.is_billed(conn, str(found.service))
    assert (row.state, row.exhausted, row.paid_until) == ("lapsed", "block", None)
    assert run_billing(database, reader, today).drafts == 0
