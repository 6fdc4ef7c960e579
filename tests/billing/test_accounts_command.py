"""`trunkline billing account` as an operator types it: open, set, show, and an order to the account that was opened."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from core import crypto, migrate
from core.db import Database
from core.settings import Settings
from intents.index.indexer import Indexer
from intents.repository import Repository
from tests.intents import build
from tests.support import trunkline

CONFIG = build.CONFIG + b"entities:\n  main: {name: Main Ltd}\n  west: {name: West Ltd}\n"
STRICT = "steps:\n  - {name: reminder, days: 1}\n  - {name: stop, days: 3, effect: block}\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation with two legal entities, three services in Git, a policy; C-1 is a customer before adoption."""
    base = tmp_path_factory.mktemp("node")
    settings = Settings.load(base, env={})
    build.make(settings, 3, CONFIG)
    crypto.create_key(settings.key_file, settings.identity_file)
    database, index_db = Database(settings.database_url), Database(settings.index_url)
    migrate.upgrade(database)
    Indexer(settings, database, Repository(settings.repository, settings.trunk), index_db).run_once()
    database.close()
    index_db.close()
    (base / "strict.yaml").write_text(STRICT, encoding="utf-8")
    ask(base, "billing", "dunning", "policy", "strict", "--file", str(base / "strict.yaml"))
    ask(base, "customer", "add", "Ada Lovelace", "--id", "C-1")
    return base


def ask(home: Path, *args: str, status: int = 0) -> dict[str, Any]:
    """The JSON answer of a command."""
    done = trunkline("--home", home, *args, "--json")
    assert done.returncode == status, done.stderr + done.stdout
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def refused(home: Path, *args: str) -> str:
    """The sentence of a command that refuses."""
    done = trunkline("--home", home, *args)
    assert done.returncode in (2, 3), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return " ".join(done.stderr.split())


def test_an_account_of_other_terms_is_opened_adopted_billed_and_dunned_by_its_own(home: Path):
    """Another zone, anchor, entity, policy and time to pay: bill and hold follow them, the neighbours do not."""
    tried = ask(home, "billing", "account", "open", "C-1", "--anchor", "15", "--dry")
    assert (tried["account"]["anchor"], tried["dry"]) == (15, True)
    terms = ("--timezone", "Asia/Kathmandu", "--anchor", "15", "--entity", "west", "--payment-days", "5")
    made = ask(home, "billing", "account", "open", "C-1", *terms, "--dunning-policy", "strict")["account"]
    name = made["id"]
    assert (made["currency"], made["timezone"], made["change_day"]) == ("AUD", "Asia/Kathmandu", "new")
    changed = ask(home, "billing", "account", "set", name, "--change-day", "old")["changed"]
    assert changed == {"change_day": {"old": "new", "new": "old"}}
    ask(home, "customer", "adopt", "--from", "2026-01-15")
    ask(home, "billing", "run", "--on", "2026-01-15")
    mine = ask(home, "billing", "invoices", name)["invoices"]
    assert [(one["number"], one["due_on"], one["total"]) for one in mine] == [
        ("INV-west-000001", "2026-01-20", "AUD 79.00")
    ]
    run = ask(home, "billing", "dunning", "--on", "2026-01-24", "--dry")["run"]
    assert list(run["held"]) == ["S-1"]
    ask(home, "billing", "run", "--on", "2026-02-01")
    assert len(ask(home, "billing", "invoices", name)["invoices"]) == 1  # its month goes on until the 15th
    said = refused(home, "billing", "account", "set", name, "--currency", "EUR")
    assert f"account {name} keeps its currency: a service is billed to it" in said
    assert "trunkline billing account open C-1" in said
    kept = ask(home, "billing", "account", "set", name, "--payment-days", "30", "--dry")
    assert kept["account"]["payment_days"] == 30
    shown = ask(home, "billing", "account", "show", name)
    assert (shown["account"]["payment_days"], shown["fixed"][0]) == (5, "a service is billed to it")


def test_an_order_names_its_account_and_what_it_costs_is_in_its_currency(home: Path):
    """Both accounts take the order, each in its rhythm; one in a currency without a price is refused."""
    customer = ask(home, "customer", "add", "Grace Hopper")["customer"]
    first = ask(home, "billing", "account", "open", customer)["account"]["id"]
    second = ask(home, "billing", "account", "open", customer, "--anchor", "20")["account"]["id"]
    euro = ask(home, "billing", "account", "open", customer, "--currency", "EUR")["account"]["id"]
    onu = ("--olt", "olt0", "--pon", "0/1/0", "--serial")
    plain = ask(home, "customer", "order", customer, "fibre", *onu, "HWTCFFFF0001")["order"]
    named = ask(home, "customer", "order", customer, "fibre", *onu, "HWTCFFFF0002", "--account", second)[
        "order"
    ]
    assert (plain["account_id"], named["account_id"]) == (first, second)
    said = refused(home, "customer", "order", customer, "fibre", *onu, "HWTCFFFF0003", "--account", euro)
    assert "in EUR; add a price with `currency: EUR` that starts by then to catalog/plans/fibre.yaml" in said
    assert "add a price with `currency: EUR`" in refused(home, "billing", "quote", "fibre", "--account", euro)
    said = refused(home, "billing", "account", "set", second, "--currency", "EUR")
    assert re.search(rf"account {second} keeps its currency: order ord_\w+ has a price in it", said)
    assert ask(home, "billing", "account", "set", euro, "--currency", "AUD")["account"]["currency"] == "AUD"


def test_a_parent_shows_its_children_and_the_sum(home: Path):
    """The child takes the parent's currency and entity; a stray parent is one sentence."""
    customer = ask(home, "customer", "add", "Holding")["customer"]
    parent = ask(home, "billing", "account", "open", customer, "--entity", "west")["account"]["id"]
    child = ask(home, "billing", "account", "open", customer, "--parent", parent)["account"]
    assert (child["parent"], child["legal_entity"]) == (parent, "west")
    ask(home, "billing", "deposit", "take", child["id"], "50.00", "--key", "d-1", "--on", "2026-02-01")
    ask(home, "billing", "run", "--on", "2026-02-01")
    shown = ask(home, "billing", "account", "show", parent)
    assert [(one["account"], one["open"]) for one in shown["children"]] == [(child["id"], "AUD 50.00")]
    assert (shown["standing"]["open"], shown["together"]["open"]) == ("AUD 0.00", "AUD 50.00")
    text = trunkline("--home", home, "billing", "account", "show", parent).stdout
    assert f"child {child['id']} of {customer}: open AUD 50.00, overdue " in text
    assert "together: open AUD 50.00" in text
    other = ask(home, "billing", "account", "open", customer, "--entity", "west", "--parent", parent)[
        "account"
    ]["id"]
    assert ask(home, "billing", "account", "set", other, "--parent", "none")["account"]["parent"] is None
    assert "is a child of" in refused(home, "billing", "account", "set", other, "--parent", child["id"])


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("open", "C-X"), "there is no customer 'C-X'"),
        (("open", "C-1", "--currency", "EURO"), "'EURO' is no currency of ISO 4217"),
        (("open", "C-1", "--timezone", "Mars"), "'Mars' is no IANA time zone"),
        (("open", "C-1", "--anchor", "32"), "anchor day 32 is no day of a month"),
        (("open", "C-1", "--entity", "wset"), "trunkline.yaml has main, west under entities"),
        (("open", "C-1", "--tax-profile", "us"), "tax profile 'us' has no rates"),
        (("open", "C-1", "--dunning-policy", "harsh"), "there is no dunning policy 'harsh'"),
        (("open", "C-1", "--payment-days", "999"), "choose 0 to 365"),
        (("open", "C-1", "--change-day", "both"), "neither new nor old"),
        (("open", "C-1", "--parent", "A-1"), "there is no account 'A-1' to be its parent"),
        (("set", "A-1", "--anchor", "2"), "there is no billing account 'A-1'"),
        (("set", "A-1"), "say which term changes"),
        (("show", "A-1"), "there is no billing account 'A-1'"),
    ],
)
def test_a_mistake_is_one_sentence_that_says_what_to_do(home: Path, args: tuple[str, ...], sentence: str):
    """Status 2 for usage, 3 for what cannot be; no trace."""
    assert sentence in refused(home, "billing", "account", *args)


def test_a_customer_keeps_the_id_that_services_name_once(home: Path):
    """A second one of the same id, and what is no id, are refused."""
    assert "customer C-1 is there already" in refused(home, "customer", "add", "Bob", "--id", "C-1")
    assert "is no id" in refused(home, "customer", "add", "Bob", "--id", "C 1")
