"""`trunkline billing` for prepaid, vouchers, deposits and subscriptions, as support types it; the real Git beneath."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from cli.installation import Installation
from core import crypto, migrate
from core.db import Database
from core.settings import Settings
from intents.index.indexer import Indexer
from intents.init import init_repository
from intents.kinds import path_of
from intents.repository import Repository
from tests.intents import build
from tests.support import trunkline

CONFIG = build.CONFIG.replace(b"reasons: [nonpayment]", b"reasons: [nonpayment, prepaid]")
PREPAID = (
    b"type: internet\nrate: {down: 20M, up: 5M}\nprepaid: {exhausted: block}\n"
    b'prices: [{id: p, from: 2025-07-01, amount: "30.00", every: month}]\n'
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation with three postpaid services and a prepaid one (S-2), adopted from 1 January 2026."""
    base = tmp_path_factory.mktemp("node")
    settings = Settings.load(base, env={})
    crypto.create_key(settings.key_file, settings.identity_file)
    files = build.network(4, CONFIG) | {path_of("plan", "pre"): PREPAID}
    files |= {path_of("service", "S-2"): build.service_file(2, "pre")}
    init_repository(settings, files, "builder")
    database, index_db = Database(settings.database_url), Database(settings.index_url)
    migrate.upgrade(database)
    Indexer(settings, database, Repository(settings.repository, settings.trunk), index_db).run_once()
    database.close()
    index_db.close()
    ask(base, "customer", "adopt", "--from", "2026-01-01")
    return base


def ask(home: Path, *args: str, status: int = 0) -> dict[str, Any]:
    """The JSON answer of a command."""
    done = trunkline("--home", home, *args, "--json")
    assert done.returncode == status, done.stderr + done.stdout
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def settled(home: Path) -> Installation:
    """Everything that waits is committed, indexed and heard; the caller closes it."""
    here = Installation(Settings.load(home, env={}))
    here.settle()
    return here


def account_of(home: Path, service: str) -> str:
    """The account that pays for it."""
    return str(ask(home, "billing", "subscription", service)["subscription"]["account"])


def holds(home: Path) -> list[str]:
    """Ids of the holds on trunk."""
    here = settled(home)
    try:
        with here.reader() as reader:
            return list(reader.ids("hold"))
    finally:
        here.close()


def test_prepaid_from_its_lapse_over_a_voucher_to_its_release(home: Path, tmp_path: Path):
    """Held in Git as the plan says; a voucher buys a month and lifts the hold; cash tops up; the rest is paid out."""
    account = account_of(home, "S-2")
    run = ask(home, "billing", "prepaid", "run")["run"]
    assert (run["held"], run["bought"]) == (["S-2"], [])
    assert holds(home) == ["S-2.prepaid"]
    file = tmp_path / "codes.csv"
    ask(
        home,
        "billing",
        "voucher",
        "create",
        "spring",
        "2",
        "40.00",
        "--until",
        "2199-12-31",
        "--file",
        str(file),
    )
    assert file.stat().st_mode & 0o777 == 0o600
    made = (
        "billing",
        "voucher",
        "create",
        "again",
        "2",
        "40.00",
        "--until",
        "2199-12-31",
        "--file",
        str(file),
    )
    assert "is there already" in trunkline("--home", home, *made).stderr.replace("\n", " ")
    assert len(ask(home, "billing", "voucher", "list")["batches"]) == 1
    codes = [row["code"] for row in csv.DictReader(file.open())]
    dry = ask(home, "billing", "wallet", "top-up", account, "99", "--key", "d", "--dry")
    assert dry["balance"] == 9900 - 3000
    done = ask(home, "billing", "voucher", "redeem", account, "--code", codes[0].lower())
    assert (done["balance"], len(done["set_ids"]), done["bought"][0]["service"]) == (1000, 1, "S-2")
    assert holds(home) == []
    assert ask(home, "billing", "voucher", "redeem", account, "--code", codes[0])["already"]
    piped = trunkline("--home", home, "billing", "voucher", "redeem", account, "--json", text=f"{codes[0]}\n")
    assert (json.loads(piped.stdout)["already"], piped.stderr) == (True, "")
    nothing = trunkline("--home", home, "billing", "voucher", "redeem", account, text="")
    assert (nothing.returncode, "send it as a line of standard input" in nothing.stderr) == (2, True)
    assert ask(home, "billing", "wallet", "top-up", account, "5", "--key", "r-1")["balance"] == 1500
    assert ask(home, "billing", "wallet", "top-up", account, "5", "--key", "r-1")["already"]
    assert ask(home, "billing", "wallet", "pay-out", account, "15", "--key", "o-1")["balance"] == 0
    shown = ask(home, "billing", "wallet", "show", account)
    assert [one["kind"] for one in shown["movements"]] == ["payout", "top-up", "fee", "voucher"]
    (listed,) = ask(home, "billing", "prepaid", "list")["services"]
    assert (listed["service"], listed["state"], listed["held"]) == ("S-2", "open", False)
    ask(home, "billing", "prepaid", "grace", "S-2", "2")
    ask(home, "billing", "voucher", "sell", "spring", "70.00")
    assert ask(home, "billing", "voucher", "void", "spring")["voided"] == 1
    (batch,) = ask(home, "billing", "voucher", "list")["batches"]
    assert (batch["redeemed"], batch["is_void"]) == (1, True)
    told = ask(home, "billing", "subscription", "S-2")["subscription"]
    assert (told["prepaid"]["state"], told["holds"]) == ("open", [])
    assert ask(home, "billing", "verify")["breaches"] == 0


def test_a_plan_change_lands_in_git_and_on_the_bill(home: Path):
    """Dry keeps nothing; then the file names the plan; a later change is listed and cancelled."""
    ask(home, "billing", "run", "--on", "2026-01-01")
    dry = ask(home, "billing", "change", "S-0", "slow", "--on", "2026-01-02", "--dry")
    assert (dry["dry"], dry["entries"][0]["state"]) == (True, "asked")
    agreed = ask(home, "billing", "change", "S-0", "slow", "--on", "2026-01-02", "--as", "anna")
    assert (agreed["entries"][0]["state"], agreed["entries"][0]["actor"]) == ("asked", "anna")
    here = settled(home)
    with here.reader() as reader:
        assert reader.get("service", "S-0").plan == "slow"
    here.close()
    told = ask(home, "billing", "subscription", "S-0")["subscription"]
    assert told["agenda"][0]["state"] == "done"
    assert [one["what"] for one in told["items"][0]["timeline"]] == ["activated", "changed"]
    later = ask(home, "billing", "change", "S-0", "fibre", "--on", "2199-01-01")["entries"][0]
    assert [one["id"] for one in ask(home, "billing", "agenda", "list")["entries"]] == [later["id"]]
    assert ask(home, "billing", "agenda", "cancel", later["id"])["entries"][0]["kind"] == "change"
    assert ask(home, "billing", "agenda", "run")["entries"] == []


def test_a_vacation_holds_and_its_end_frees(home: Path):
    """Held from yesterday's day on; cancelled, it ends today and the hold goes."""
    ask(home, "billing", "vacation", "S-1", "--from", "2026-11-01", "--until", "2199-01-01")
    assert holds(home) == ["S-1.vacation"]
    assert ask(home, "billing", "subscription", "S-1")["subscription"]["holds"] == ["vacation"]
    ask(home, "billing", "vacation", "S-1", "--until", "2198-01-01")
    ask(home, "billing", "vacation", "S-1", "--cancel")
    assert holds(home) == []
    assert ask(home, "billing", "subscription", "S-1")["subscription"]["holds"] == []


def test_a_transfer_changes_the_file_and_an_end_ends_billing_on_its_day(home: Path):
    """S-3 goes to S-1's customer, then ceases: billing ends on the agreed day."""
    to = account_of(home, "S-1")
    ask(home, "billing", "transfer", "S-3", to, "--on", "2026-06-01")
    here = settled(home)
    with here.reader() as reader:
        assert reader.get("service", "S-3").customer == "C-1"
    here.close()
    assert account_of(home, "S-3") == to
    ask(home, "billing", "cease", "S-3", "--on", "2026-07-15")
    here = settled(home)
    with here.reader() as reader:
        assert reader.get("service", "S-3").state == "ceased"
    here.close()
    told = ask(home, "billing", "subscription", "S-3")["subscription"]
    assert [(one["what"], one["on"]) for one in told["items"][0]["timeline"]] == [
        ("activated", "2026-06-01"), ("ceased", "2026-07-15"),
    ]  # fmt: skip


def test_a_deposit_is_taken_paid_and_returned(home: Path):
    """Taken on the next bill, held when paid, returned as credit."""
    account = account_of(home, "S-2")
    made = ask(home, "billing", "deposit", "take", account, "50", "--key", "d-1")["deposit"]
    trunkline("--home", home, "billing", "run")  # other accounts may be parked by now: months of them at once
    assert ask(home, "billing", "deposit", "list", account)["deposits"][0]["state"] in ("billed", "held")
    ask(home, "billing", "pay", account, "50", "--key", "d-2")
    assert ask(home, "billing", "deposit", "return", made, "--dry")["dry"]
    returned = ask(home, "billing", "deposit", "return", made)
    assert (returned["deposit"], returned["amount"]["minor"]) == (made, 5000)
    assert ask(home, "billing", "deposit", "list", account)["deposits"][0]["state"] == "used"
    assert ask(home, "billing", "verify")["breaches"] == 0


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("billing", "change", "S-1", "slow"), "say one of --on"),
        (("billing", "change", "S-1", "slow", "--at", "later"), "neither now nor period-end"),
        (("billing", "change", "S-9", "slow", "--at", "now"), "service S-9 is not billed"),
        (("billing", "change", "S-1", "gold", "--at", "now"), "there is no plan 'gold'"),
        (("billing", "change", "S-1", "slow", "--version", "z", "--at", "now"), "no price version 'z'"),
        (("billing", "vacation", "S-1"), "say --from and --until"),
        (("billing", "transfer", "S-1", "A-1", "--at", "now"), "there is no billing account 'A-1'"),
        (("billing", "move", "S-1"), "say --olt --pon --serial"),
        (("billing", "wallet", "top-up", "A-10001", "x", "--key", "k"), "'x' is no amount"),
        (("billing", "voucher", "redeem", "A-10001", "--code", "K7QF"), "it is mistyped"),
        (("billing", "voucher", "void", "none"), "there is no batch of vouchers 'none'"),
        (("billing", "prepaid", "grace", "S-1", "3"), "S-1 is not prepaid"),
        (("billing", "deposit", "apply", "dep_x"), "there is no deposit 'dep_x'"),
        (("billing", "agenda", "cancel", "agd_x"), "nothing was agreed as 'agd_x'"),
    ],
)
def test_a_mistake_is_one_sentence(home: Path, args: tuple[str, ...], sentence: str):
    """Status 2 for usage, 3 for what cannot be answered."""
    done = trunkline("--home", home, *args)
    assert done.returncode in (2, 3), done.stdout
    assert sentence in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr


def test_a_top_up_is_charged_back_and_expired_money_moves_by_a_rule(home: Path):
    """Dry first; the key of a top-up that is not there is one sentence; rules are shown, set, dropped."""
    said = trunkline("--home", home, "billing", "wallet", "charge-back", "R-0", "--key", "CB-1")
    assert (said.returncode, "there is no top-up with key 'R-0'" in said.stderr) == (3, True)
    assert ask(home, "billing", "breakage", "rule")["rules"] == []
    account = account_of(home, "S-2")
    ask(home, "billing", "wallet", "top-up", account, "5.00", "--key", "R-900", "--on", "2026-01-02")
    dry = ask(home, "billing", "wallet", "charge-back", "R-900", "--key", "CB-1", "--dry")
    done = ask(home, "billing", "wallet", "charge-back", "R-900", "--key", "CB-1", "--cost", "1.00")
    assert (dry["amount"], dry["balance"], done["already"]) == (500, done["balance"], False)
    won = ask(home, "billing", "wallet", "charge-back-won", "R-900", "--key", "CB-1")
    assert won["balance"] == done["balance"] + 500
    rules = ask(home, "billing", "breakage", "rule", "wallet", "--days", "90", "--ledger", "revenue:breakage")
    assert rules["rules"] == [{"entity": "main", "what": "wallet", "days": 90, "ledger": "revenue:breakage"}]
    assert ask(home, "billing", "breakage", "run", "--on", "2026-01-01", "--dry")["broken"] == []
    assert ask(home, "billing", "breakage", "rule", "wallet", "--drop")["rules"] == []
    assert trunkline("--home", home, "billing", "breakage", "rule", "wallet", "--days", "90").returncode == 2
