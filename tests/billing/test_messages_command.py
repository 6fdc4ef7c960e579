"""Reminders, messages and letters as an operator types them."""

from pathlib import Path

import pytest

from tests.billing.test_command import ask, home  # noqa: F401  (a fixture)
from tests.support import trunkline

pytestmark = pytest.mark.xdist_group("messages-command")  # one installation, one story
POLICY = """
reminders: [{days: 7, channels: [letter, sms]}]
steps: [{name: first, days: 1, channels: [letter]}]
"""


@pytest.fixture(scope="module")
def billed(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """Three accounts that owe from January on, by a policy that writes letters."""
    file = tmp_path_factory.mktemp("policy") / "policy.yaml"
    file.write_text(POLICY)
    ask(home, "customer", "adopt", "--from", "2026-01-01")
    ask(home, "billing", "dunning", "policy", "default", "--file", str(file))
    ask(home, "billing", "run", "--on", "2026-01-01")
    return home


def test_reminders_are_written_once_and_listed(billed: Path):
    """A dry word first; then a dunning run; then nothing more; nobody set up SMS."""
    dry = ask(billed, "billing", "messages", "send", "--on", "2026-01-08", "--dry")
    assert dry["made"] == {"reminder": 6}
    ask(billed, "billing", "dunning", "--on", "2026-01-08")
    assert ask(billed, "billing", "messages", "send", "--on", "2026-01-08")["made"] == {}
    shown = ask(billed, "billing", "messages", "list", "--channel", "sms")["messages"]
    assert [(one["state"], one["purpose"]) for one in shown] == [("waiting", "reminder")] * 3
    done = trunkline("--home", billed, "billing", "messages", "list", "--state", "lost")
    assert (done.returncode, "none of waiting" in done.stderr) == (2, True)
    done = trunkline("--home", billed, "billing", "messages", "resend", "msg_0")
    assert (done.returncode, "no message 'msg_0'" in done.stderr) == (3, True)


def test_letters_are_made_fetched_and_listed(billed: Path, tmp_path: Path):
    """Who has no address is named; what is printed once is not printed again; a zip of the same batch."""
    for account in ("A-10001", "A-10002"):
        ask(billed, "billing", "contact", account, "--name", "Ada", "--country", "AU", "--city", "Perth",
            "--postcode", "6000", "--address", "1 Hay Street")  # fmt: skip
    ask(billed, "billing", "dunning", "--on", "2026-01-16")
    target = tmp_path / "today.pdf"
    dry = ask(billed, "billing", "letters", "make", "--on", "2026-01-16", "--dry")["batch"]
    made = ask(
        billed, "billing", "letters", "make", "--on", "2026-01-16", "--out", str(target), "--as", "anna"
    )["batch"]
    assert dry["count"] == made["count"] >= 2
    assert target.read_bytes().startswith(b"%PDF")
    again = tmp_path / "again.pdf"
    ask(billed, "billing", "letters", "fetch", made["id"], "--out", str(again))
    assert again.read_bytes() == target.read_bytes()
    ask(billed, "billing", "letters", "fetch", made["id"], "--out", str(tmp_path / "one.zip"))
    assert (tmp_path / "one.zip").read_bytes().startswith(b"PK")
    rest = ask(billed, "billing", "letters", "make", "--on", "2026-01-16")["batch"]
    assert rest is None or rest["count"] == 0
    (batch,) = ask(billed, "billing", "letters", "list")["batches"]
    assert (batch["batch"], batch["count"]) == (made["id"], made["count"])
    assert len(ask(billed, "billing", "letters", "list", made["id"])["letters"]) == made["count"]
    done = trunkline("--home", billed, "billing", "letters", "make", "--form", "a5")
    assert (done.returncode, "'a5' is no form of a letter" in done.stderr) == (3, True)
