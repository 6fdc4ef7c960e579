"""`trunkline billing addon|promotion|bundle|fee|prices` as an operator types them."""

import json
from pathlib import Path
from typing import Any

import pytest

from core import crypto, migrate
from core.db import Database
from core.settings import Settings
from intents.index.indexer import Indexer
from intents.init import init_repository
from intents.kinds import path_of
from intents.repository import Repository
from tests.intents import build
from tests.support import trunkline

MORE = {
    (
        "plan",
        "static",
    ): 'type: addon\nname: Static address\nprices: [{id: a, from: 2025-01-01, amount: "5.00"}]\n',
    ("plan", "visit"): 'type: fee\nprices: [{id: a, from: 2025-01-01, amount: "90.00", every: once}]\n',
    ("plan", "slow"): (
        'type: internet\nrate: {down: 50M, up: 5M}\nprices: [{id: a, from: 2025-07-01, amount: "79.00"}]\n'
    ),
    ("plan", "fibre"): (
        "type: internet\nrate: {down: 500M, up: 50M}\nprices:\n"
        '  - {id: a, from: 2025-07-01, amount: "79.00"}\n  - {id: b, from: 2026-02-01, amount: "85.00"}\n'
    ),
    ("offer", "half"): "type: promotion\npercent: 50\nmonths: 3\ncode: HALF-26\nlimit: 2\n",
    ("offer", "duo"): 'type: bundle\nplans: [fibre, static]\namount: "8.40"\n',
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation with two billed services and a catalogue."""
    base = tmp_path_factory.mktemp("node")
    settings = Settings.load(base, env={})
    files = build.network(2) | {path_of(*name): text.encode() for name, text in MORE.items()}
    init_repository(settings, files, "builder")
    crypto.create_key(settings.key_file, settings.identity_file)
    database, index_db = Database(settings.database_url), Database(settings.index_url)
    migrate.upgrade(database)
    Indexer(settings, database, Repository(settings.repository, settings.trunk), index_db).run_once()
    database.close()
    index_db.close()
    assert len(ask(base, "customer", "adopt", "--from", "2026-01-01")["services"]) == 2
    return base


def ask(home: Path, *args: str, status: int = 0) -> dict[str, Any]:
    """The JSON answer of a command."""
    done = trunkline("--home", home, *args, "--json")
    assert done.returncode == status, done.stderr + done.stdout
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_an_addon_a_bundle_a_promotion_and_a_fee(home: Path):
    """Dry keeps nothing; then each is billed in January; then each ends."""
    jan = ("--on", "2026-01-01")
    dry = ask(home, "billing", "addon", "add", "S-0", "static", *jan, "--dry")
    assert [one["role"] for one in dry["items"]] == ["addon", "plan"]
    assert [one["role"] for one in ask(home, "billing", "addon", "list", "S-0")["items"]] == ["plan"]
    ask(home, "billing", "addon", "add", "S-0", "static", *jan)
    ask(home, "billing", "bundle", "add", "duo", "S-0", *jan)
    given = ask(home, "billing", "promotion", "add", "S-1", "half", *jan)
    assert "every" not in str(given["items"][-1]["told"])
    assert ask(home, "billing", "fee", "S-1", "visit", *jan)["amount"] == 9000
    ran = ask(home, "billing", "run", "--on", "2026-01-01")
    totals = sorted(one["total"] for one in ask(home, "billing", "invoices")["invoices"])
    assert (len(ran["final"]), totals) == (2, ["AUD 129.50", "AUD 75.60"])
    shown = trunkline("--home", home, "billing", "addon", "list", "S-0", "--on", "2026-01-02").stdout
    assert "AUD 5.00 a month" in shown
    assert "AUD 7.90 a month off from 2026-01-01, with 2 services together" in shown
    ask(home, "billing", "addon", "remove", "S-0", "static", "--on", "2026-02-01")
    ask(home, "billing", "promotion", "remove", "S-1", "half", "--on", "2026-02-01")
    ask(home, "billing", "run", "--on", "2026-02-01")
    newest = [one["total"] for one in ask(home, "billing", "invoices")["invoices"]][:2]
    assert newest == ["AUD 79.00", "AUD 79.00"]


def test_a_price_change_is_previewed_tried_and_done(home: Path):
    """Two items, 12.00 a month; a second time nobody."""
    found = ask(home, "billing", "prices", "preview", "fibre")
    assert (found["price_version"], found["items"], found["monthly"]) == ("b", 2, {"AUD": 1200})
    assert len(found["accounts"]) == found["account_count"] == 2
    change = ("billing", "prices", "apply", "fibre", "--version", "b", "--on", "2199-01-01")
    assert ask(home, *change, "--dry")["moved"] == 2
    assert ask(home, *change)["moved"] == 2
    assert ask(home, *change)["moved"] == 0
    text = trunkline("--home", home, "billing", "prices", "preview", "fibre").stdout
    assert "nobody moves unless" in text


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("billing", "addon", "add", "S-9", "static"), "S-9 is not billed"),
        (
            ("billing", "addon", "add", "S-0", "fibre"),
            "is of type internet; this takes one of type addon or rental",
        ),
        (("billing", "addon", "remove", "S-0", "tv"), "has no 'tv'; it has"),
        (
            ("billing", "promotion", "add", "S-0", "duo"),
            "is of type bundle; this takes one of type promotion",
        ),
        (("billing", "bundle", "add", "duo", "S-1"), "none of S-1 has plan static"),
        (("billing", "fee", "S-0", "static"), "is of type addon; this takes one of type fee"),
        (("billing", "prices", "preview", "nothing"), "plan nothing is not in the catalogue"),
        (
            ("billing", "prices", "apply", "fibre", "--version", "z", "--on", "2199-01-01"),
            "no price version 'z'",
        ),
        (
            ("billing", "prices", "apply", "fibre", "--version", "b", "--on", "2020-01-01"),
            "that day has passed",
        ),
        (("customer", "order", "C-0", "static", "--line", "L-0"), "it goes beside a service"),
    ],
)
def test_a_mistake_is_one_sentence(home: Path, args: tuple[str, ...], sentence: str):
    """What it is about, and what to do."""
    done = trunkline("--home", home, *args)
    assert done.returncode in (2, 3), done.stdout
    assert sentence in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_quote_and_how_many_redeemed_a_promotion(home: Path):
    """Each period until the price stays; a code that nobody knows is one sentence."""
    said = ask(home, "billing", "quote", "fibre", "--promotion", "half-26", "--on", "2026-03-01")
    assert said["promotions"] == {"half": "50% off from 2026-03-01 until 2026-06-01 (exclusive)"}
    assert [(one["from"], one["off"]) for one in said["parts"]] == [
        ("2026-03-01", {"half": -4250}), ("2026-04-01", {"half": -4250}), ("2026-05-01", {"half": -4250}),
        ("2026-06-01", {}),
    ]  # fmt: skip
    assert said["stays"] == "2026-06-01"
    done = trunkline("--home", home, "billing", "quote", "fibre", "--promotion", "NOPE")
    assert (done.returncode, "no promotion has this code" in done.stderr) == (3, True)
    shown = ask(home, "billing", "promotion", "redeemed")["promotions"]
    assert all(one["offer"] != "half" or one["left"] == 2 - one.get("redeemed", 0) for one in shown)
