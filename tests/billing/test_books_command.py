"""Reports, closing, write-offs and dunning's extras as an operator types them; each report as text, JSON and CSV."""

import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.billing.test_command import home  # noqa: F401  (a fixture)
from tests.support import trunkline

REPORTS = {
    ("trial-balance", "--as-of", "2026-01-31"): "balances",
    ("receivables", "--as-of", "2026-01-31"): "accounts",
    ("tax", "--from", "2026-01-01", "--to", "2026-02-01"): "taxes",
    ("deferred", "--as-of", "2026-01-10"): "deferred",
    ("metrics", "--from", "2026-01-01", "--until", "2026-02-01"): "months",
}


def ask(home: Path, *args: str, status: int = 0) -> dict[str, Any]:  # noqa: F811
    """The JSON answer of a command of `trunkline billing`."""
    done = trunkline("--home", home, "billing", *args, "--json")
    assert done.returncode == status, done.stderr + done.stdout
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def table(home: Path, *args: str) -> list[dict[str, str]]:  # noqa: F811
    """The CSV answer of a command."""
    done = trunkline("--home", home, "billing", *args, "--csv")
    assert done.returncode == 0, done.stderr + done.stdout
    return list(csv.DictReader(io.StringIO(done.stdout)))


def said(home: Path, *args: str) -> str:  # noqa: F811
    """What a command says that fails: one sentence."""
    done = trunkline("--home", home, "billing", *args)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return " ".join((done.stderr + done.stdout).split())


@pytest.fixture(scope="module")
def month(home: Path) -> Path:  # noqa: F811
    """January billed, a third of it recognised."""
    trunkline("--home", home, "customer", "adopt", "--from", "2026-01-01")
    ask(home, "run", "--on", "2026-01-01")
    assert ask(home, "recognise", "--until", "2026-01-10")["transactions"] == 10
    return home


@pytest.mark.parametrize("report", REPORTS)
def test_each_report_speaks_text_json_and_csv(month: Path, report: tuple[str, ...]):
    """CSV has a row for what JSON tells, amounts in decimals; both at once are refused."""
    told = ask(month, "report", *report)[REPORTS[report]]
    rows = table(month, "report", *report)
    assert told
    assert len(rows) >= len(told)
    assert trunkline("--home", month, "billing", "report", *report).stdout.strip()
    assert "not both" in said(month, "report", *report, "--csv", "--json")


def test_the_reports_tie_to_each_other(month: Path):
    """Deferred, receivable and tax of their reports are what the trial balance has."""
    balances = {
        row["ledger"]: Decimal(row["amount"])
        for row in table(month, "report", "trial-balance", "--as-of", "2026-01-10")
    }
    assert sum(balances.values()) == 0
    deferred = table(month, "report", "deferred", "--as-of", "2026-01-10")
    assert sum(Decimal(row["amount"]) for row in deferred) == -balances["deferred:revenue:recurring"]
    owed = table(month, "report", "receivables", "--as-of", "2026-01-10")
    assert sum(Decimal(row["together"]) for row in owed) == balances["receivable"]
    tax = table(month, "report", "tax", "--from", "2026-01-01", "--to", "2026-01-11")
    assert sum(Decimal(row["tax"]) for row in tax) == -balances.get("tax-payable:", 0)
    metrics = {
        row["what"]: row
        for row in table(month, "report", "metrics", "--from", "2026-01-01", "--until", "2026-02-01")
    }
    assert (metrics["new"]["amount"], metrics["closing"]["count"]) == (metrics["closing"]["amount"], "3")


def test_dunning_with_policy_status_notices_promises_and_hardship(month: Path, tmp_path: Path):
    """A policy from a file; why and what is next; notices by channel; a promise in parts; an exemption and its end."""
    shown = ask(month, "dunning", "policy")["policy"]
    file = tmp_path / "policy.yaml"
    file.write_text(
        json.dumps({**shown, "minimum": {"AUD": "10.00"}, "calendar": {"days_off": ["sat", "sun"]}})
    )
    assert ask(month, "dunning", "policy", "default", "--file", str(file), "--dry")["policy"]["minimum"] == {
        "AUD": "10.00"
    }
    assert ask(month, "dunning", "policy")["policy"]["minimum"] == {}
    ask(month, "dunning", "policy", "default", "--file", str(file))
    assert ask(month, "dunning", "policy")["policy"]["calendar"]["days_off"] == ["sat", "sun"]
    assert ask(month, "dunning", "--on", "2026-01-20")["run"]["held"] == []
    rows = table(month, "dunning", "notices", "--channel", "e-mail")
    assert [row["name"] for row in rows] == ["reminder"] * 3
    assert rows[0]["amount"] == "79.00"
    one, other = rows[0]["account_id"], rows[1]["account_id"]
    told = ask(month, "dunning", "status", one, "--on", "2026-01-20")["status"]
    assert (told["step"], told["next_step"], told["next_on"]) == ("reminder", "warning", "2026-01-22")
    ask(month, "promise", one, "2199-01-01", "--part", "2198-01-01=30.00")
    assert [row["state"] for row in table(month, "dunning", "promises")] == ["open"]
    assert ask(month, "dunning", "promises", "--state", "kept")["promises"] == []
    assert "is no instalment" in said(month, "promise", one, "2199-01-01", "--part", "soon")
    assert "is too far off" in said(month, "promise", one, "2199-01-01", "--part", "9999-12-31=1.00")
    ask(month, "hardship", other, "--until", "2199-01-01", "--reason", "flood", "--as", "anna")
    assert "flood" in ask(month, "dunning", "status", other)["status"]["why"][0]
    assert ask(month, "hardship", other, "--end", "--as", "anna")["ended"] is True


def test_write_off_close_and_reopen(month: Path):
    """A dry write-off keeps nothing; the period is closed, refuses, moves, and is reopened by a named person."""
    number = ask(month, "invoices")["invoices"][-1]["number"]
    for dry, left in ((["--dry"], "AUD 79.00"), ([], "AUD 0.00")):
        told = ask(month, "write-off", number, "--reason", "insolvent", "--on", "2026-01-20", *dry)
        assert (told["written"][0]["amount"], told["dry"]) == (7900, bool(dry))
        assert ask(month, "explain", number)["invoice"]["open"] == left
    assert "say why with --reason" in said(month, "write-off", number)
    assert ask(month, "write-off", "--residues")["written"] == []
    assert "is not recognised until then" in said(month, "close", "--until", "2026-01-31")
    ask(month, "recognise", "--until", "2026-01-31")
    assert ask(month, "close", "--until", "2026-01-31", "--dry")["closed"] == ["main"]
    assert ask(month, "close", "--until", "2026-01-31", "--as", "anna")["closed"] == ["main"]
    second = ask(month, "invoices")["invoices"][0]["number"]
    refused = said(month, "write-off", second, "--reason", "x", "--on", "2026-01-20")
    assert "nothing is booked on 2026-01-20; book it on 2026-02-01 or later" in refused
    assert "say who you are with --as" in said(
        month, "close", "--reopen", "--entity", "main", "--reason", "audit"
    )
    opened = ask(month, "close", "--reopen", "--entity", "main", "--reason", "audit", "--as", "anna")
    assert (opened["before"], opened["after"]) == ("2026-01-31", None)
    assert [row["what"] for row in ask(month, "close", "--history")["closes"]] == ["close", "reopen"]


def test_undo_with_rebill(month: Path):
    """February is billed, taken back and billed anew."""
    run = ask(month, "run", "--on", "2026-02-01")
    listed = ask(month, "runs")["runs"]
    assert (listed[0]["id"], listed[0]["kind"], listed[0]["on"]) == (run["run"], "bill", "2026-02-01")
    assert "'trunkline billing runs' lists them" in said(month, "undo", "bill_of_nobody")
    assert ask(month, "undo", run["run"], "--rebill", "--dry")["taken_back"] == 3
    assert ask(month, "undo", run["run"], "--rebill", "--as", "anna")["taken_back"] == 3
    assert len(ask(month, "run", "--on", "2026-02-01")["final"]) == 3
