"""An account's terms on both databases: what may change, until when, what is checked, and who stands under whom."""

import importlib
import pkgutil
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import billing
from billing import accounts, billables, payments, policies, taxes
from billing.accounts import CURRENCIES, FIXED, FREE, Account
from billing.bank import mandates
from billing.billables import Billable
from billing.billrun import run_billing
from billing.deposits import deposits
from billing.dunning import run_dunning
from billing.errors import AccountNotUsable, AccountTermsFixed, AccountUnknown, TimeZoneUnknown
from billing.models import META, account, invoice
from billing.stages import Step
from billing.taxing.models import tax_engine
from billing.wallet import topping
from core import clock
from core.crypto import DataKey
from core.db import Database
from core.models import event
from core.money import Money, digits
from tests.billing.stage import START, Stage
from tests.billing.threads import together

SOME = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ENTITIES = ("main", "west")
HARMLESS = {
    "account", "agenda_entry", "allocation_policy", "autopay", "autopay_ended", "bank_entry", "bill_park",
    "billing_contact", "billing_mail", "billing_mail_bounce", "billing_message", "billing_override", "collection",
    "dunning_notice", "dunning_stage", "gateway_attempt", "hardship", "known_iban", "nonpayment_hold",
    "promise_to_pay", "promotion_redemption", "tax_answer", "tax_exemption", "usage_rated", "wallet_voucher",
    "wallet_voucher_guess", "write_off",
}  # fmt: skip
"""Tables that say nothing in an account's currency or days, or whose rows come only after one that is in the way."""
valid = st.fixed_dictionaries(
    {},
    optional={
        "currency": st.sampled_from(sorted(CURRENCIES)),
        "timezone": st.sampled_from(["Asia/Kathmandu", "Pacific/Apia", "UTC", "America/St_Johns"]),
        "anchor": st.integers(1, 31),
        "legal_entity": st.sampled_from(ENTITIES),
        "tax_profile": st.sampled_from(["default", "exempt", "us"]),
        "dunning_policy": st.sampled_from(["default", "strict"]),
        "payment_days": st.integers(0, 365),
        "change_day": st.sampled_from(["new", "old"]),
    },
)
WRONG = [
    ("currency", "ABC", AccountNotUsable, "no currency of ISO 4217"),
    ("currency", "eur", AccountNotUsable, "no currency of ISO 4217"),
    ("currency", "XAU", AccountNotUsable, "no currency of ISO 4217"),
    ("timezone", "Europe/Wien", TimeZoneUnknown, "IANA"),
    ("timezone", "localtime", TimeZoneUnknown, "IANA"),
    ("timezone", "../etc/passwd", TimeZoneUnknown, "IANA"),
    ("anchor", 0, AccountNotUsable, "choose 1 to 31"),
    ("anchor", 32, AccountNotUsable, "choose 1 to 31"),
    ("legal_entity", "wset", AccountNotUsable, "trunkline.yaml has main, west"),
    ("tax_profile", "nowhere", AccountNotUsable, "has no rates"),
    ("dunning_policy", "harsh", AccountNotUsable, "no dunning policy 'harsh'"),
    ("payment_days", -1, AccountNotUsable, "choose 0 to 365"),
    ("payment_days", 366, AccountNotUsable, "choose 0 to 365"),
    ("change_day", "both", AccountNotUsable, "new nor old"),
    ("parent", "A-9", AccountNotUsable, "no account 'A-9'"),
]


def opened(database: Database, **terms: Any) -> str:
    """An account of somebody new; a policy `strict` and a tax profile `us` are there."""
    with database.write() as conn:
        policies.set_policy(conn, "strict", [Step("first", 1), Step("stop", 3, "block")])
        taxes.set_rate(conn, "gst", "8%", profile="us", valid_from=date(2000, 1, 1))
        asked = {"currency": "AUD", "timezone": "Australia/Perth", **terms}
        return accounts.open_account(conn, "C-1", **asked)


def change(database: Database, name: str, **terms: Any) -> Account:
    """Set terms."""
    with database.write() as conn:
        return accounts.change(conn, name, actor="sue", entities=ENTITIES, **terms)


def get(database: Database, name: str) -> Account:
    """It, as it is kept."""
    with database.read() as conn:
        return accounts.get(conn, name)


def told(database: Database) -> list[Any]:
    """The events of changed accounts."""
    with database.read() as conn:
        return list(
            conn.execute(sa.select(event).where(event.c.type == "account.changed").order_by(event.c.seq))
        )


@SOME
@given(steps=st.lists(valid, min_size=1, max_size=3))
def test_setting_terms_ends_where_opening_with_them_does(database: Database, steps: list[dict[str, Any]]):
    """Whatever is set in whatever order while nothing was billed: the same account as one that was opened so."""
    name = opened(database)
    for step in steps:
        assert change(database, name, **step) == get(database, name)
    last = {key: value for step in steps for key, value in step.items()}
    other = get(database, opened(database, **last))
    assert {one: getattr(other, one) for one in (*FIXED, *FREE)} == {
        one: getattr(get(database, name), one) for one in (*FIXED, *FREE)
    }


def test_a_change_is_told_with_who_and_what_and_nothing_twice(database: Database):
    """Old and new values of what differs, the actor; saying what is so already is no change."""
    name = opened(database)
    for _ in range(2):
        change(database, name, anchor=15, payment_days=30, currency="AUD")
    (one,) = told(database)
    assert (one.subject, one.actor) == (name, "sue")
    assert one.data == {"old": {"anchor": 1, "payment_days": 14}, "new": {"anchor": 15, "payment_days": 30}}
    with pytest.raises(AccountUnknown):
        change(database, "A-1", anchor=2)


@pytest.mark.parametrize(("term", "value", "error", "sentence"), WRONG)
def test_a_term_that_makes_no_sense_is_refused(
    database: Database, term: str, value: Any, error: Any, sentence: str
):
    """With one sentence that says what to choose; nothing of the change is kept, nothing is told."""
    name = opened(database)
    before = get(database, name)
    with pytest.raises(error, match=sentence):
        change(database, name, **{"tax_profile": "exempt", term: value})
    assert get(database, name) == before
    assert told(database) == []


def test_where_no_entities_are_configured_any_name_is_one(database: Database):
    """But it is a word, since invoice numbers carry it; a profile of an engine needs no rates of the table."""
    name = opened(database)
    with database.write() as conn:
        assert accounts.change(conn, name, actor="sue", legal_entity="north-2").legal_entity == "north-2"
        with pytest.raises(AccountNotUsable, match="letters, digits and hyphens"):
            accounts.change(conn, name, actor="sue", legal_entity="no rth")
        engine = {"profile": "eu", "engine": "http", "settings": {}, "fallback": "park", "actor": "sue"}
        conn.execute(sa.insert(tax_engine).values(**engine, recorded_at=clock.now()))
        assert accounts.change(conn, name, actor="sue", tax_profile="eu").tax_profile == "eu"


def test_each_currency_has_the_decimals_that_money_knows() -> None:
    """Three letters each; what ISO 4217 gives four decimals, or none at all, is left out."""
    assert not {"CLF", "UYW", "XAU", "XXX", "XTS"} & CURRENCIES
    assert {digits(code) for code in CURRENCIES} == {0, 2, 3}
    assert all(len(code) == 3 and code.isupper() for code in CURRENCIES)


def use(stage: Stage, what: str) -> None:
    """Let the first thing happen to an account."""
    name, money = stage.account, Money(1_000, "AUD")
    if what == "service":
        stage.add()
        return
    with stage.database.write() as conn:
        if what == "billable":
            fee = Billable(
                account=name,
                kind="one-off",
                source="f",
                description="A visit",
                amount=money,
                billed_from=START,
            )
            billables.add(conn, fee, actor="test")
        elif what == "payment":
            payments.pay(conn, name, money, "cash", "k")
        elif what == "wallet":
            topping.top_up(conn, name, money, "cash", "k", actor="test")
        elif what == "deposit":
            deposits.take(conn, name, money, "k", actor="test")
        else:
            who: dict[str, Any] = {
                "holder": "Ann Example",
                "signed_on": START,
                "key": DataKey.generate(),
                "actor": "test",
            }
            mandates.sign(conn, name, "M-1", iban="GB33BUKB20201555555555", **who)


@pytest.mark.parametrize("what", ["service", "billable", "payment", "wallet", "deposit", "mandate"])
def test_the_first_thing_that_is_billed_or_booked_fixes_what_amounts_and_days_mean(
    database: Database, what: str
):
    """Each FIXED term is refused, with what is in the way and what to do; each FREE one still changes."""
    other = opened(database)
    stage = Stage(database, currency="EUR" if what == "mandate" else "AUD")
    name = stage.account
    with database.read() as conn:
        assert accounts.in_the_way(conn, name) == []
    use(stage, what)
    wanted = {
        "currency": "USD", "timezone": "UTC", "anchor": 9, "legal_entity": "west", "change_day": "old", "parent": other,
    }  # fmt: skip
    assert set(wanted) == set(FIXED)
    before = get(database, name)
    for term, value in wanted.items():
        with pytest.raises(
            AccountTermsFixed, match=rf"keeps its {term.replace('_', ' ')}: .*account open C-"
        ):
            change(database, name, **{term: value, "payment_days": 99})
    assert get(database, name) == before
    now = change(database, name, payment_days=30, tax_profile="exempt", dunning_policy="strict")
    assert (now.payment_days, now.tax_profile, now.dunning_policy) == (30, "exempt", "strict")


def test_every_table_of_an_account_is_in_the_way_or_known_to_be_harmless() -> None:
    """Who adds a table with amounts of an account has to say which."""
    for found in pkgutil.walk_packages(billing.__path__, "billing."):
        if found.name.endswith("models"):
            importlib.import_module(found.name)
    of_account = {
        table.name
        for table in META.tables.values()
        for key in table.foreign_keys
        if key.column.table is account
    }
    said = {column.table.name for column, _ in accounts._IN_THE_WAY}
    assert not said & HARMLESS
    assert of_account == said | HARMLESS


def test_what_changes_later_counts_for_later_bills_and_never_for_issued_ones(database: Database):
    """January is due in 14 days and taxed; February in 30, exempt; January's document is as it was."""
    stage = Stage(database)
    stage.add()
    run_billing(database, stage.reader, START)
    (first,) = stage.invoices()
    change(database, stage.account, payment_days=30, tax_profile="exempt")
    run_billing(database, stage.reader, date(2026, 2, 1))
    january, february = stage.invoices()
    assert january == first
    assert (january.due_on, january.tax) == (date(2026, 1, 15), 790)
    assert (february.due_on, february.tax) == (date(2026, 3, 3), 0)


def test_another_policy_counts_from_the_next_run_also_in_the_middle_of_a_case(database: Database):
    """Not held by a policy that only reminds, held by the next run once it is strict; a hold stays until it is paid."""
    stage = Stage(database)
    service = stage.add()
    with database.write() as conn:
        policies.set_policy(conn, "patient", [Step("reminder", 1)])
        policies.set_policy(
            conn, "long", [*(Step(f"s{n}", n) for n in range(1, 5)), Step("stop", 6, "block")]
        )
    change(database, stage.account, dunning_policy="patient")
    run_billing(database, stage.reader, START)
    late = date(2026, 2, 15)
    assert run_dunning(database, stage.reader, late).held == ()
    change(database, stage.account, dunning_policy="long")
    assert run_dunning(database, stage.reader, late + timedelta(days=1)).held == (service,)
    change(database, stage.account, dunning_policy="patient")
    run = run_dunning(database, stage.reader, late + timedelta(days=2))
    assert (run.held, run.released) == ((), ())
    with database.write() as conn:
        paid = payments.pay(
            conn, stage.account, Money(8_690, "AUD"), "cash", "k", on=late + timedelta(days=3)
        )
    assert len(paid.set_ids) == 1


def test_a_parent_is_another_account_of_the_same_currency_and_entity(database: Database):
    """One level only, nobody their own; and a parent keeps what its children rely on."""
    parent, child, other = (opened(database) for _ in range(3))
    foreign, elsewhere = opened(database, currency="EUR"), opened(database, legal_entity="west")
    change(database, child, parent=parent)
    for name, above, sentence in (
        (other, other, "its own parent"),
        (other, child, f"child of {parent} itself"),
        (other, foreign, "both must be the same"),
        (other, elsewhere, "both must be the same"),
    ):
        with pytest.raises(AccountNotUsable, match=sentence):
            change(database, name, parent=above)
    for terms in ({"currency": "EUR"}, {"legal_entity": "west"}, {"parent": other}):
        with pytest.raises(AccountTermsFixed, match=f"it is the parent of {child}"):
            change(database, parent, **terms)
    with pytest.raises(AccountNotUsable, match="both must be the same"):
        change(database, child, currency="EUR")
    assert change(database, child, parent=None, currency="EUR").parent is None
    assert change(database, child, parent=foreign).parent == foreign
    with database.write() as conn, pytest.raises(AccountNotUsable, match="child of"):
        accounts.open_account(conn, "C-1", currency="EUR", timezone="UTC", parent=child)


def test_a_family_is_shown_together_and_each_pays_its_own(database: Database):
    """The parent first, its children by id; what one owes stays its own: each has a bill of its own."""
    parent = Stage(database)
    child = Stage(database, legal_entity=parent.entity, parent=parent.account)
    for stage in (parent, child):
        stage.add()
        run_billing(database, stage.reader, START)
    with database.write() as conn:
        payments.pay(conn, child.account, Money(8_690, "AUD"), "cash", "k")
    with database.read() as conn:
        found = accounts.family(conn, parent.account)
        assert [(one.account, one.open.minor) for one in found] == [
            (parent.account, 8_690),
            (child.account, 0),
        ]
        assert [one.account for one in accounts.family(conn, child.account)] == [child.account]
        bills = conn.execute(sa.select(invoice.c.account_id).order_by(invoice.c.account_id)).scalars().all()
    assert bills == sorted([parent.account, child.account])


def test_two_who_make_each_other_the_parent_at_once_make_one_of_them(database: Database):
    """Whoever comes second is refused: there is no circle, and nobody waits for ever."""
    one, other = opened(database), opened(database)
    turns = iter([(one, other), (other, one)])

    def marry() -> None:
        child, parent = next(turns)
        try:
            change(database, child, parent=parent)
        except (AccountNotUsable, AccountTermsFixed):
            return

    together(2, marry)
    parents = [get(database, name).parent for name in (one, other)]
    assert parents.count(None) == 1
