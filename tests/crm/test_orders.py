"""Orders and activation on both databases: reserved, written, proven, billed; or failed and given back."""

import os
import signal
import subprocess
import sys
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from billing import accounts, holds, subscriptions, taxes
from billing import register as billing_register
from billing.billrun import run_billing
from billing.errors import PriceMissing
from core import events
from core import register as core_register
from core.crypto import DataKey, is_sealed, open_
from core.db import Database
from core.events import Event
from core.jobs import Worker
from crm import activation, adoption, cessation, customers, orders
from crm import register as crm_register
from crm.access import Access, Existing, Gpon, Options, Radio
from crm.activation import P_QUEUED
from crm.errors import (
    AccountNotTheirs,
    CustomerUnknown,
    DataKeyNeeded,
    NotOrderable,
    OrderStateWrong,
    OrderUnknown,
    PlanUnknown,
    ServiceUnknown,
)
from crm.states import TRANSITIONS, State
from intents.kinds import parse_path, path_of
from intents.models import change
from inventory import allocation
from inventory.errors import NothingLeft
from tests.crm.town import read, town
from tests.support import ROOT

KEY = DataKey.generate()
ONU = Gpon(olt="olt7", pon="0/1/0", serial="HWTC1A2B3C4D", model="hg8245")
CPE = Radio(ap="ap-hill", sector="s1", mac="02:00:5e:10:00:01")
SUBSCRIBERS = (core_register, billing_register, crm_register)  # they subscribe by being imported


def order(database: Database, access: Access = CPE, plan: str = "fibre", **given: Any) -> str:
    """A new customer places an order."""
    with database.write() as conn:
        customer = customers.add(conn, KEY, "Ada Lovelace", email="ada@example.net")
        return orders.place_order(conn, town(), customer, plan, access, actor="staff-7", **given)


def provision(database: Database, order_id: str, reader: Any = None) -> dict[str, bytes]:
    """Activate; returns the queued files by path."""
    set_id = activation.activate(database, reader or town(), order_id, actor="staff-7", key=KEY)
    with database.read() as conn:
        rows = conn.execute(sa.select(change).where(change.c.set_id == set_id)).all()
    assert all(row.precondition == "absent" for row in rows)
    return {row.path: row.content for row in rows}


def state_of(database: Database, order_id: str) -> orders.Order:
    """The order now."""
    with database.read() as conn:
        return orders.get(conn, order_id)


def tell(database: Database, type_: str, subject: str, **data: Any) -> None:
    """Emit an event and let every subscriber hear it, and what follows from it."""
    with database.write() as conn:
        events.emit(conn, type_, subject, data, actor="committer")
    Worker(database, "test").run_until_idle()


def test_an_activation_writes_line_and_service_that_the_loader_likes(database: Database):
    """ONU id, C-VLAN, prefix allocated; login generated; password sealed for exactly its place."""
    order_id = order(database, ONU)
    files = provision(database, order_id)
    found = state_of(database, order_id)
    line = read("line", str(found.line), files[path_of("line", str(found.line))]).value
    service = read("service", str(found.service), files[path_of("service", str(found.service))]).value
    assert (line.onu, line.serial, line.state) == (0, "HWTC1A2B3C4D", "active")
    assert (service.attach.svlan, service.attach.cvlan, service.attach.port) == (101, 1000, "eth1")
    assert service.session.login == str(found.service).lower().replace("-", "") + "@example.net"
    assert service.session.bind == ("circuit",)
    assert str(service.ipv6.pd).endswith("::/56")
    path = path_of("service", str(found.service))
    assert len(open_(KEY, str(service.session.password), path, "session.password")) >= 16


def test_nothing_that_names_a_person_goes_to_git(database: Database):
    """Names and mail stay in SQL, sealed there; files carry opaque ids."""
    files = provision(database, order(database))
    assert not any(word in text for text in files.values() for word in (b"Ada", b"Lovelace", b"ada@"))
    with database.read() as conn:
        rows = conn.execute(sa.text("SELECT personal FROM customer")).scalars().all()
        assert all(is_sealed(text) for text in rows)
        (shown,) = customers.everyone(conn, KEY)
        (hidden,) = customers.everyone(conn, None)
    assert (shown.name, hidden.name) == ("Ada Lovelace", "(sealed)")


def test_without_a_device_to_wait_for_the_landing_activates_and_billing_starts(database: Database):
    """Radio: change set landed -> active -> service.activated -> subscription at the ordered price."""
    order_id = order(database)
    provision(database, order_id)
    found = state_of(database, order_id)
    with database.read() as conn:
        assert not subscriptions.is_billed(conn, str(found.service))
    tell(database, "changeset.landed", str(found.set_id), set_id=found.set_id)
    assert state_of(database, order_id).state is State.ACTIVE
    with database.read() as conn:
        item = subscriptions.item(conn, str(found.service))
        today = accounts.get(conn, found.account_id).today
    assert [(event.effective, event.terms) for event in item.events] == [(today, found.terms)]
    assert run_billing(database, town(), today).parked[found.account_id].startswith("tax profile 'default'")
    with database.write() as conn:
        taxes.set_rate(conn, "gst", "10%", valid_from=date(2000, 1, 1))
    assert len(run_billing(database, town(), today).final) == 1


def test_a_managed_device_confirms_the_activation(database: Database):
    """GPON on an OLT that we configure: landing is not enough; the second confirmation adds nothing."""
    order_id = order(database, ONU)
    provision(database, order_id)
    found = state_of(database, order_id)
    tell(database, "changeset.landed", str(found.set_id), set_id=found.set_id)
    assert state_of(database, order_id).state is State.PROVISIONING
    for _ in range(2):
        tell(database, "activation.confirmed", str(found.service), service=found.service)
    assert state_of(database, order_id).state is State.ACTIVE
    with database.read() as conn:
        assert len(subscriptions.item(conn, str(found.service)).events) == 1


@pytest.mark.parametrize("fate", ["rejected", "conflicted", "superseded"])
def test_a_change_set_that_cannot_land_fails_the_order_and_gives_everything_back(
    database: Database, fate: str
):
    """The reason is on the order, its values are free at once, and it can be placed again."""
    order_id = order(database, ONU)
    provision(database, order_id)
    found = state_of(database, order_id)
    problems = [{"message": "ONU 0 is taken"}]
    tell(database, f"changeset.{fate}", str(found.set_id), set_id=found.set_id, problems=problems)
    failed = state_of(database, order_id)
    assert (failed.state, failed.reason) == (State.FAILED, f"its change set was {fate}: ONU 0 is taken")
    with database.write() as conn:
        assert allocation.owned(conn, str(found.line)) == {} == allocation.owned(conn, str(found.service))
        orders.place_again(conn, order_id, actor="staff-7")
    assert "onu: 0" in _line_text(provision(database, order_id))


def test_two_orders_never_get_the_same_values(database: Database):
    """ONU ids and C-VLANs differ; the third ONU on a split of two is refused, and reserves nothing."""
    first, second, third = (order(database, ONU) for _ in range(3))
    texts = [_line_text(provision(database, one)) for one in (first, second)]
    assert ["onu: 0" in texts[0], "onu: 1" in texts[1]] == [True, True]
    with pytest.raises(NothingLeft, match="onu:olt7/0/1/0"):
        provision(database, third)
    assert state_of(database, third).state is State.PLACED


def test_values_that_a_file_already_claims_are_left_out(database: Database):
    """ONU 0 is in Git by an engineer's hand: the order gets 1."""
    by_hand = b"type: gpon\nstate: active\nolt: olt7\npon: 0/1/0\nonu: 0\nserial: HWTC00000001\n"
    files = provision(database, order(database, ONU), town({("line", "L-1"): by_hand}))
    assert "onu: 1" in _line_text(files)


def test_a_fixed_address_comes_from_the_public_pool_without_its_gateway(database: Database):
    """203.0.113.1 is the gateway's."""
    files = provision(database, order(database, options=Options(ipv4="fixed")))
    assert b"203.0.113.2" in b"".join(files.values())


def test_voice_on_an_existing_line_keeps_emergency_calls(database: Database):
    """A second service on a line: no line file; on-hold is emergency-only."""
    line = b"type: gpon\nstate: active\nolt: olt7\npon: 0/1/0\nonu: 0\nserial: HWTC00000001\n"
    files = provision(
        database,
        order(database, Existing(line="L-1"), "voice", options=Options(number="+61855501234")),
        town({("line", "L-1"): line}),
    )
    ((path, text),) = files.items()
    assert path.startswith("services/")
    assert b"on-hold: emergency-only" in text
    assert b"61855501234" not in text


def test_an_order_that_makes_no_sense_is_refused_in_one_sentence(database: Database):
    """Unknown customer, plan, order, device, PON, line, price, key; somebody else's account."""
    reader, other = town(), order(database)
    with database.write() as conn:
        customer = customers.add(conn, None, "Bob")
        accounts.open_account(conn, customer, currency="AUD", timezone="UTC")
        euros = accounts.open_account(conn, customer, currency="EUR", timezone="UTC")
        place = lambda **given: orders.place_order(  # noqa: E731
            conn, reader, **{"customer": customer, "plan": "fibre", "access": CPE, "actor": "x", **given}
        )
        for error, words, given in [
            (CustomerUnknown, "customer list", {"customer": "C-1"}),
            (PlanUnknown, "business, fibre, voice", {"plan": "fiber"}),
            (NotOrderable, "pull request", {"plan": "business"}),
            (NotOrderable, "telephone number", {"plan": "voice"}),
            (PriceMissing, "in EUR; add a price with `currency: EUR`", {"account": euros}),
            (AccountNotTheirs, "does not belong", {"account": orders.get(conn, other).account_id}),
        ]:
            with pytest.raises(error, match=words):
                place(**given)
        with pytest.raises(OrderUnknown, match="'ord_1'"):
            orders.get(conn, "ord_1")
    bad: list[tuple[Access, str]] = [
        (Gpon(olt="olt9", pon="0", serial="x"), "no such OLT"),
        (Gpon(olt="olt7", pon="9/9", serial="x"), "no PON '9/9'"),
        (Radio(ap="ap-hill", sector="s9", mac="x"), "no sector 's9'"),
        (Existing(line="L-9"), "no such line"),
        (Gpon(olt="olt7", pon="0/1/0", serial="not a serial"), "serial"),
    ]
    for access, words in bad:
        with pytest.raises(NotOrderable, match=words):
            activation.activate(database, reader, order(database, access), actor="x", key=KEY)
    with pytest.raises(DataKeyNeeded, match="secret init"):
        activation.activate(database, reader, other, actor="x")


def test_an_order_follows_its_table_of_states(database: Database):
    """Every state is reachable or the start; a cancelled order stays cancelled."""
    assert set().union(*TRANSITIONS.values()) | {State.DRAFT} == set(State)
    order_id = order(database, draft=True)
    with database.write() as conn:
        orders.cancel(conn, order_id, actor="staff-7", reason="moved away")
    with pytest.raises(OrderStateWrong, match="cancelled"):
        activation.activate(database, town(), order_id, actor="staff-7", key=KEY)


def test_ceasing_ends_service_line_billing_and_lets_values_rest(database: Database):
    """Files say ceased; after landing billing ends and the ONU id rests for its quarantine."""
    order_id = order(database, ONU)
    files = provision(database, order_id)
    found = state_of(database, order_id)
    tell(database, "activation.confirmed", str(found.service), service=found.service)
    known = {_identity(path): text for path, text in files.items()}
    with database.write() as conn:
        set_id = cessation.cease_service(conn, town(known), str(found.service), actor="staff-7")
        assert cessation.cease_service(conn, town(known), str(found.service), actor="staff-7") == set_id
        rows = conn.execute(sa.select(change).where(change.c.set_id == set_id)).all()
        assert len(rows) == 2
        assert all(b"state: ceased" in row.content for row in rows)
        with pytest.raises(ServiceUnknown, match="'S-1'"):
            cessation.cease_service(conn, town(), "S-1", actor="staff-7")
    tell(database, "changeset.landed", set_id, set_id=set_id)
    with database.read() as conn:
        assert subscriptions.item(conn, str(found.service)).events[-1].kind == "ceased"
        free = conn.execute(sa.text("SELECT count(*) FROM allocation WHERE free_at IS NOT NULL")).scalar()
    assert free == 3


def test_services_that_are_in_git_already_are_adopted_once(database: Database):
    """A customer, an account and a subscription each; a plan without a price is named."""
    text = b"customer: C-%d\ntype: internet\nstate: active\nplan: %s\nline: L-1\n"
    known = {("service", f"S-{n}"): text % (n // 2, b"fibre") for n in range(4)}
    known["service", "S-9"] = text % (9, b"nothing")
    known["hold", "S-1.nonpayment"] = b"effect: walled-garden\n"
    since = date(2026, 1, 1)
    taken = adoption.adopt_services(database, town(known), since=since, actor="staff-7")
    assert (taken.services, list(taken.refused)) == (("S-0", "S-1", "S-2", "S-3"), ["S-9"])
    assert adoption.adopt_services(database, town(known), since=since, actor="staff-7").services == ()
    with database.read() as conn:
        assert [customer.id for customer in customers.everyone(conn, None)] == ["C-0", "C-1"]
        assert {len(accounts.of_customer(conn, name)) for name in ("C-0", "C-1")} == {1}
        (account,) = accounts.of_customer(conn, "C-0")
        assert set(holds.held(conn, [account.id])) == {"S-1"}  # a hold that was there before is known


def test_a_plan_without_a_price_today_cannot_be_ordered(database: Database):
    """The sentence names plan and date."""
    dear = b"type: voice\nprices:\n- {id: a, from: 2199-01-01, amount: '1.00'}\n"
    reader = town({("plan", "later"): dear})
    with database.write() as conn:
        customer = customers.add(conn, None, "Bob")
        with pytest.raises(PriceMissing, match="plan later has no price"):
            orders.place_order(conn, reader, customer, "later", CPE, actor="x")


KILLED_POINTS = [P_QUEUED]


def test_killed_before_the_commit_of_an_activation_nothing_is_reserved(database: Database):
    """SIGKILL at the fault point: order placed, nothing reserved, nothing queued; the next try is the first."""
    order_id = order(database, ONU)
    code = (
        "import sys; from tests.crm.test_orders import *; "
        "activation.activate(Database(sys.argv[1]), town(), sys.argv[2], actor='x', key=KEY)"
    )
    faults = {"TRUNKLINE_TEST_MODE": "1", "TRUNKLINE_FAULT": f"{P_QUEUED}:1:kill"}
    command = [sys.executable, "-c", code, database.url.render_as_string(hide_password=False), order_id]
    done = subprocess.run(command, cwd=ROOT, env=dict(os.environ) | faults, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    with database.read() as conn:
        assert conn.execute(sa.text("SELECT count(*) FROM allocation")).scalar() == 0
        assert conn.execute(sa.select(sa.func.count()).select_from(change)).scalar() == 0
    assert len(provision(database, order_id)) == 2


def test_a_hold_that_was_lifted_reaches_billing_through_the_jobs(database: Database):
    """hold.removed travels from the table of events to billing's subscriber."""
    with database.write() as conn:
        events.emit(
            conn, "hold.removed", "S-1", {"service": "S-1", "reason": "nonpayment", "set_id": None}, actor="x"
        )
    assert Worker(database, "test").run_until_idle() >= 1
    assert isinstance(_last_event(database), Event)


def _last_event(database: Database) -> Event:
    with database.read() as conn:
        return events.recent(conn, ["hold.removed"])[0]


def _identity(path: str) -> tuple[str, str]:
    identity = parse_path(path)
    assert isinstance(identity, tuple)
    return identity


def _line_text(files: dict[str, bytes]) -> str:
    return next(text.decode() for path, text in files.items() if path.startswith("lines/"))
