"""Documents, tax, mail and statements as an operator types them."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.billing.test_command import ask, home  # noqa: F401  (a fixture)
from tests.support import trunkline

pytestmark = pytest.mark.xdist_group("papers-command")  # one installation, one story


@pytest.fixture(scope="module")
def billed(home: Path) -> Path:  # noqa: F811
    """The installation with drafts of three accounts."""
    ask(home, "customer", "adopt", "--from", "2026-01-01")
    ask(home, "billing", "exempt", "A-10002", "--from", "2026-01-01", "--certificate", "X-7", "--as", "anna")
    ask(home, "billing", "surcharge", "usf", "5.2%", "--label", "Universal service", "--from", "2026-02-01")
    ask(home, "billing", "run", "--on", "2026-01-01", "--drafts")
    return home


def test_drafts_are_listed_voided_and_made_final(billed: Path):
    """A dry word first; a reason is wanted; the next run bills what was voided."""
    drafts = ask(billed, "billing", "drafts")["drafts"]
    assert [one["account"] for one in drafts] == ["A-10001", "A-10002", "A-10003"]
    first = drafts[0]["id"]
    assert ask(billed, "billing", "void", first, "--reason", "test", "--dry")["voided"]
    assert ask(billed, "billing", "void", first, "--reason", "test")["voided"]
    assert not ask(billed, "billing", "void", first, "--reason", "test")["voided"]
    assert trunkline("--home", billed, "billing", "finalise").returncode == 2
    given = ask(billed, "billing", "finalise", "--account", "A-10002", "--on", "2026-01-02", "--dry")
    assert (given["numbers"], len(given["drafts"])) == ([], 1)
    given = ask(billed, "billing", "finalise", "--account", "A-10002", "--on", "2026-01-02")
    assert given["numbers"] == ["INV-000001"]
    assert len(ask(billed, "billing", "run", "--on", "2026-01-03")["final"]) == 2
    done = trunkline("--home", billed, "billing", "void", "INV-000001", "--reason", "x")
    assert (done.returncode, "is final and never changes" in done.stderr) == (3, True)


def test_papers_and_statements_are_written(billed: Path, tmp_path: Path):
    """PDF, why there is no e-invoice yet, the contact that mends it for what comes, the statement in three forms."""
    target = tmp_path / "one.pdf"
    made = ask(billed, "billing", "pdf", "INV-000001", "--out", str(target))
    assert target.read_bytes().startswith(b"%PDF")
    assert (made["e_invoice"], "country is missing" in made["why"]) == (False, True)
    done = trunkline("--home", billed, "billing", "xml", "INV-000001", "--out", str(tmp_path / "x.xml"))
    assert (done.returncode, "entities" in done.stderr) == (3, True)
    assert (
        "country was missing when it was made, and a document that was given out stays as it is"
        in done.stderr
    )
    said = ask(
        billed,
        "billing",
        "contact",
        "A-10002",
        "--name",
        "Ada",
        "--country",
        "FR",
        "--email",
        "a@example.net",
    )
    assert said["contact"]["country"] == "FR"
    assert ask(billed, "billing", "contact", "A-10002")["contact"] == said["contact"]
    days = ("--from", "2026-01-01", "--until", "2026-02-01")
    files = ("--pdf", str(tmp_path / "s.pdf"), "--csv", str(tmp_path / "s.csv"))
    found = ask(billed, "billing", "statement", "A-10002", *days, *files)
    assert (found["opening"], found["closing"], len(found["entries"])) == ("AUD 0.00", "AUD 79.00", 1)
    assert "closing" in (tmp_path / "s.csv").read_text()
    assert (tmp_path / "s.pdf").read_bytes().startswith(b"%PDF")


def test_a_surcharge_stands_on_the_next_bill(billed: Path):
    """From its day on, for every account of the profile; and it is explained."""
    numbers = ask(billed, "billing", "run", "--on", "2026-02-01")["final"]
    told = ask(billed, "billing", "explain", numbers[0])["invoice"]
    assert [one["amount"] for one in told["lines"]] == ["AUD 79.00", "AUD 4.11"]
    assert "surcharge" in told["lines"][1]["why"]


class _Deaf(BaseHTTPRequestHandler):
    """Nobody asks it here."""


def test_an_engine_is_set_with_a_sealed_token(billed: Path, tmp_path: Path):
    """The token is in no answer; a run parks who waits; without the engine the table's rates count again."""
    server = HTTPServer(("127.0.0.1", 0), _Deaf)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "token").write_text("very-secret\n")
    url = f"http://127.0.0.1:{server.server_port}/"
    given = ("--profile", "us", "--url", url, "--token-file", str(tmp_path / "token"))
    try:
        said = ask(billed, "billing", "tax-engine", "http", *given)
        assert said["engine"] == "http"
        assert "very-secret" not in json.dumps(said)
        assert b"very-secret" not in b"".join(one.read_bytes() for one in billed.glob("trunkline.db*"))
        assert ask(billed, "billing", "tax-engine", "none", "--profile", "us")["engine"] == ""
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("exempt", "A-1", "--from", "2026-01-01"), "there is no billing account 'A-1'"),
        (("exempt", "A-10001", "--from", "2026-01-01", "--code", "Q"), "'Q' is none of"),
        (("surcharge", "usf", "AUD x"), "'x' is no amount of AUD"),
        (("surcharge", "usf", "1%", "--kind", "nonsense"), "is no kind of line"),
        (("tax-engine", "nobody", "--profile", "us"), "nobody provides it"),
        (("tax-engine", "http", "--profile", "us", "--url", "ftp://x"), "is no https address"),
        (("mail", "send"), "there is no mail server"),
        (("mail", "resend", "INV-9"), "there is no mail about 'INV-9'"),
        (("mail", "list", "--state", "lost"), "'lost' is none of"),
        (("void", "inv_x", "--reason", "r"), "there is no invoice 'inv_x'"),
        (("drafts", "--account", "A-1"), "there is no billing account 'A-1'"),
        (("pdf", "INV-9"), "there is no invoice 'INV-9'"),
        (
            ("statement", "A-1", "--from", "2026-01-01", "--until", "2026-02-01"),
            "there is no billing account",
        ),
        (("contact", "A-10001", "--country", "Australia"), "is no ISO 3166-1 code"),
        (("export", "--beancount", "--file", "/nonexistent/x"), "/nonexistent/x: No such file or directory"),
        (
            (
                "voucher",
                "create",
                "b-1",
                "5",
                "10.00",
                "--until",
                "2199-01-01",
                "--file",
                "/nonexistent/x.csv",
            ),
            "/nonexistent/x.csv: No such file or directory",
        ),
    ],
)
def test_a_mistake_is_one_sentence(billed: Path, args: tuple[str, ...], sentence: str):
    """Told on stderr, with status 2 or 3, without a stack trace."""
    done = trunkline("--home", billed, "billing", *args)
    assert done.returncode in (2, 3)
    assert sentence in " ".join(done.stderr.replace("│", " ").split()), done.stderr
    assert "Traceback" not in done.stderr


def test_the_log_of_mail_is_empty_without_mail(billed: Path):
    """It says so."""
    assert ask(billed, "billing", "mail", "list")["mail"] == []
