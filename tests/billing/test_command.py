"""`trunkline billing` and `trunkline customer` as an operator types them."""

import json
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


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation with three services in Git, indexed."""
    base = tmp_path_factory.mktemp("node")
    settings = Settings.load(base, env={})
    build.make(settings, 3)
    crypto.create_key(settings.key_file, settings.identity_file)
    database, index_db = Database(settings.database_url), Database(settings.index_url)
    migrate.upgrade(database)
    Indexer(settings, database, Repository(settings.repository, settings.trunk), index_db).run_once()
    database.close()
    index_db.close()
    return base


def ask(home: Path, *args: str, status: int = 0) -> dict[str, Any]:
    """The JSON answer of a command."""
    done = trunkline("--home", home, *args, "--json")
    assert done.returncode == status, done.stderr + done.stdout
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_month_from_adoption_to_payment(home: Path):
    """adopt, run, invoices, explain, dunning, pay, standing, resume, promise: each answers what it did."""
    assert len(ask(home, "customer", "adopt", "--from", "2026-01-01")["services"]) == 3
    ran = ask(home, "billing", "run", "--on", "2026-01-01")
    assert (len(ran["final"]), ran["parked"]) == (3, {})
    assert ask(home, "billing", "run", "--on", "2026-01-01")["final"] == []
    listed = ask(home, "billing", "invoices")["invoices"]
    assert {one["total"] for one in listed} == {"AUD 79.00"}
    told = ask(home, "billing", "explain", listed[0]["number"])["invoice"]
    assert "price version a of plan fibre" in told["lines"][0]["why"]
    assert len(ask(home, "billing", "dunning", "--on", "2026-02-01", "--dry")["run"]["held"]) == 3
    assert len(ask(home, "billing", "dunning", "--on", "2026-02-01")["run"]["held"]) == 3
    account = listed[0]["account"]
    paid = ask(home, "billing", "pay", account, "79.00", "--key", "r-1", "--on", "2026-02-01")
    assert len(paid["set_ids"]) == 1
    assert ask(home, "billing", "pay", account, "79.00", "--key", "r-1") == paid
    assert ask(home, "billing", "standing", account)["standing"]["open"] == "AUD 0.00"
    other = listed[1]["account"]
    assert ask(home, "billing", "resume", other)["ended"] == 0
    assert ask(home, "billing", "promise", other, "2199-01-01")["set_ids"]
    ask(
        home,
        "billing",
        "autopay",
        "on",
        other,
        "--gateway",
        "stripe",
        "--customer",
        "c",
        "--method",
        "m",
        status=3,
    )
    ask(home, "billing", "pay", other, "5.00", "--key", "r-3", "--invoice", listed[0]["number"], status=3)
    paid_back = ask(home, "billing", "pay", other, "100.00", "--key", "r-2")["payment"]
    ask(home, "billing", "refund", paid_back, "21.00", "--reason", "overpaid", "--key", "b-1")
    (waits,) = ask(home, "billing", "gateways")["refunds"]
    assert (waits["account"], waits["amount"], waits["state"]) == (other, "AUD 21.00", "requested")


def test_a_customer_orders_and_leaves(home: Path):
    """add, list, show, order, cease."""
    customer = ask(home, "customer", "add", "Ada Lovelace", "--address", "1 Hill St")["customer"]
    assert customer in {one["id"] for one in ask(home, "customer", "list")["customers"]}
    onu = ("--olt", "olt0", "--pon", "0/1/0", "--serial", "HWTCFFFF0001")
    order = ask(home, "customer", "order", customer, "fibre", *onu)["order"]
    assert (order["state"], order["awaits"]) == ("provisioning", "landing")
    shown = ask(home, "customer", "show", customer)["customer"]
    assert (shown["name"], shown["locations"][0]["address"]) == ("Ada Lovelace", "1 Hill St")
    assert ask(home, "customer", "cease", "S-2")["set_id"].startswith("set_")


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("billing", "pay", "A-1", "1.00", "--key", "x"), "there is no billing account 'A-1'"),
        (("billing", "pay", "A-10001", "seven", "--key", "x"), "'seven' is no amount of AUD"),
        (("billing", "pay", "A-10001", "1.234", "--key", "x"), "at most 2 decimals"),
        (("billing", "pay", "A-10001", "-5", "--key", "x"), "No such option"),
        (("billing", "pay", "A-10001", "5", "--key", "x", "--currency", "EUR"), "kept in AUD, not in EUR"),
        (("billing", "explain", "INV-9"), "there is no invoice 'INV-9'"),
        (("billing", "invoices", "A-1"), "there is no billing account 'A-1'"),
        (("billing", "tax", "gst", "ten"), "no tax rate"),
        (("billing", "tax", "", "10%"), "a tax rate needs a category and a profile"),
        (("billing", "tax", "gst", "10%", "--profile", " "), "a tax rate needs a category and a profile"),
        (("customer", "show", "C-X"), "there is no customer 'C-X'"),
        (("customer", "order", "C-0", "fibre"), "say --olt --pon --serial"),
        (("customer", "cease", "S-X"), "there is no service 'S-X'"),
        (("radius", "limits", "S-X"), "there is no service S-X"),
        (("radius", "grant", "S-X", "--data", "1G"), "there is no service S-X"),
        (("radius", "grant", "S-1", "--data", "1G"), "has no prepaid quota, so that nothing would change"),
    ],
)
def test_a_mistake_is_one_sentence(home: Path, args: tuple[str, ...], sentence: str):
    """Status 2 for usage, 3 for what cannot be answered; the sentence says what and where."""
    ask(home, "customer", "adopt", "--from", "2026-01-01")
    done = trunkline("--home", home, *args)
    assert done.returncode in (2, 3), done.stdout
    assert sentence in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_run_that_parks_an_account_says_no(home: Path):
    """Status 1, and the account and the remedy are named."""
    ask(home, "customer", "adopt", "--from", "2026-01-01")
    done = trunkline("--home", home, "billing", "run", "--on", "2029-01-01")
    assert done.returncode == 1
    assert "is parked" in done.stdout


def test_a_day_s_work_is_one_command(home: Path) -> None:
    """Every step is told; again nothing is left to do."""
    for _ in range(2):
        done = ask(home, "billing", "day", "--on", "2026-02-02")
    steps = {one["step"]: one["told"] for one in done["steps"]}
    assert list(steps) == [
        "agreed",
        "rated",
        "billed",
        "recognised",
        "charged",
        "prepaid",
        "dunned",
        "expired",
        "sent",
    ]
    assert steps["billed"].startswith("0 new bills, 0 documents final")
    shown = trunkline("--home", home, "billing", "day", "--on", "2026-02-02")
    assert "9 steps, 0 for a person to look at" in shown.stdout
