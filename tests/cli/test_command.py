"""The `trunkline` command: light until a command is called, and its errors are sentences with a status."""

import ast
import errno
import json
import sys
from pathlib import Path

import pytest
from sqlalchemy.exc import DataError

from cli.answer import answer
from cli.edge import run_at_edge
from cli.main import main
from cli.registry import listed, load
from core.errors import Retryable, Terminal
from core.problems import Problem
from core.shown import printable, to_json
from tests.support import ROOT, run, typed

COMMANDS = [found.name for found in listed()]
# What `--help` must never wait for.
HEAVY = {
    "alembic", "asyncssh", "cryptography", "fastapi", "git", "jinja2", "napalm", "nornir", "pydantic",
    "pygit2", "rich", "sqlalchemy", "structlog", "uvicorn", "yaml",
}  # fmt: skip
ROOMS_ABOVE_CORE = {
    "intents", "inventory", "renderers", "drivers", "aaa", "billing", "crm", "reconciler", "api", "ci",
}  # fmt: skip


def loaded_by(*args: str) -> set[str]:
    """Top-level names of the modules that a run of the command imports."""
    done = run([sys.executable, "-X", "importtime", "-m", "cli.main", *args], check=False)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rsplit("|", 1)[1].strip() for line in lines}


@pytest.mark.parametrize("args", [("--help",), ("--version",), ()], ids=["help", "version", "none"])
def test_help_imports_no_room_and_nothing_heavy(args: tuple[str, ...]):
    """`--help` and `--version` answer at once because they import almost nothing."""
    names = loaded_by(*args)
    assert {name.split(".")[0] for name in names} & (HEAVY | ROOMS_ABOVE_CORE) == set()
    assert not [name for name in names if name.startswith("cli.commands")]


def test_help_shows_every_command_with_its_line():
    """Every module of cli/commands is listed with the first line of its docstring."""
    shown = " ".join(typed("--help").stdout.split())
    for found in listed():
        assert found.summary, f"{found.name} has no docstring"
        assert f"{found.name} {found.summary}" in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_and_answers_help(name: str):
    """A command's `--help` works and begins with its name."""
    done = typed(name, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: trunkline {name} ")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_line_is_read_without_importing_as_python_reads_it(name: str):
    """The quick reading of a docstring's first line agrees with Python's own."""
    base = ROOT / "cli" / "commands" / name.replace("-", "_")
    path = base.with_suffix(".py") if base.with_suffix(".py").exists() else base / "__init__.py"
    told = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert {found.name: found.summary for found in listed()}[name] == told.splitlines()[0].strip()


def test_a_new_module_is_a_new_command(tmp_path: Path):
    """Dashes stand for underscores; a folder is a command too; nothing else is edited."""
    (tmp_path / "accept_history.py").write_text('"""Accept it."""\n')
    (tmp_path / "billing").mkdir()
    (tmp_path / "billing" / "__init__.py").write_text('"""Bill.\n\nMore."""\n')
    assert list(listed(tmp_path)) == [("accept-history", "Accept it."), ("billing", "Bill.")]


def test_loading_gives_the_command_its_name():
    """A loaded command is called as its file is."""
    assert load("doctor").name == "doctor"


def test_an_unknown_command_is_usage_with_a_suggestion():
    """Status 2, and the nearest command."""
    done = typed("doctr")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Did you mean 'doctor'?" in done.stderr


@pytest.mark.parametrize(
    "args", [("plan", "\udcff"), ("receipt", "\udcff\udcfe"), ("validate", "\udcff", "--json")]
)
def test_an_argument_that_is_no_text_is_usage(args: tuple[str, ...], capsys: pytest.CaptureFixture[str]):
    """Bytes that are not UTF-8 reach no command: status 2 and the argument, readable."""
    with pytest.raises(SystemExit) as ended:
        main(args)
    assert ended.value.code == 2
    assert "argument '\\udcff" in capsys.readouterr().err


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
@pytest.mark.parametrize(
    ("args", "option"),
    [
        ("billing run --on DAY", "--on"), ("billing promise A-1 DAY", "until"), ("customer adopt --from DAY", "--from"),
        ("billing report tax --from 2026-01-01 --to DAY", "--to"), ("billing letters make --from DAY", "--from"),
        ("billing vacation S-1 --from 2026-01-01 --until DAY", "--until"),
    ],
)  # fmt: skip
def test_a_day_is_one_that_can_be_counted_with(
    args: str, option: str, day: str, capsys: pytest.CaptureFixture[str]
):
    """Where calendars end no command begins: status 2 and one sentence that names the option."""
    with pytest.raises(SystemExit) as ended:
        main(args.replace("DAY", day).split())
    told = capsys.readouterr().err
    assert (ended.value.code, option in told) == (2, True)
    assert f"{day} is too far off; name a day from 1900-01-01 to 2999-12-31" in told


@pytest.mark.parametrize(
    "args",
    [
        "billing run --chunk N",
        "billing invoices --limit N",
        "billing run --workers N",
        "customer list --limit N",
    ],
)
def test_a_number_is_one_that_fits(args: str, capsys: pytest.CaptureFixture[str]):
    """Beyond 64 bits nothing has room for it, and one below nothing is none."""
    for number, says in (("99999999999999999999", "is too large; write a number of at most"), ("-1", "")):
        with pytest.raises(SystemExit) as ended:
            main(args.replace("N", number).split())
        told = capsys.readouterr().err
        assert (ended.value.code, says in told) == (2, True)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_behind_the_limits(name: str):
    """No command of a group is left out."""
    waiting = [load(name)]
    for command in waiting:
        children = list(getattr(command, "commands", {}).values())
        waiting.extend(children)
        assert (
            children
            or command.callback.__module__ == "cli.limits"
            or command.callback.__code__.co_name == "checked"
        )


class LineCut(Retryable):
    """An error that may pass."""


class PlanMissing(Terminal):
    """An error that stays."""


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (PlanMissing("plan P9 is missing;\n name another"), "trunkline: plan P9 is missing; name another\n"),
        (LineCut("device r1 is away"), "trunkline: device r1 is away (trying again may help)\n"),
    ],
)
def test_our_errors_are_one_sentence_and_status_3(error, sentence, capsys: pytest.CaptureFixture[str]):
    """No stack trace: one line on stderr, nothing on stdout."""
    with pytest.raises(SystemExit) as ended:
        run_at_edge(lambda: _raise(error))
    assert ended.value.code == 3
    assert capsys.readouterr() == ("", sentence)


def test_what_a_database_does_not_keep_is_no_fault_of_ours(capsys: pytest.CaptureFixture[str]):
    """PostgreSQL's own refusal of a value is one sentence."""
    with pytest.raises(SystemExit):
        run_at_edge(lambda: _raise(DataError("INSERT", {}, ValueError("out of range"))))
    assert capsys.readouterr().err.startswith("trunkline: a value is not one that the database keeps")


def test_an_argument_has_no_nul(capsys: pytest.CaptureFixture[str]):
    """However it came here: status 2 and the argument, readable."""
    with pytest.raises(SystemExit) as ended:
        main(["billing", "pay", "A-1", "1.00", "--key", "a\0b"])
    assert ended.value.code == 2
    assert "argument 'a\\x00b' is not text" in capsys.readouterr().err


def test_a_fault_of_ours_names_its_place(capsys: pytest.CaptureFixture[str]):
    """An unexpected exception tells where it happened and how to see more."""
    with pytest.raises(SystemExit):
        run_at_edge(lambda: _raise(KeyError("x")))
    told = capsys.readouterr().err
    assert "KeyError: 'x' at " in told
    assert "TRUNKLINE_DEBUG=1" in told


def test_with_json_an_error_is_an_envelope(capsys: pytest.CaptureFixture[str]):
    """A program that asked for JSON gets JSON."""
    with pytest.raises(SystemExit):
        run_at_edge(lambda: _raise(PlanMissing("gone")), as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "trunkline.error/1"
    assert told["problems"][0]["message"] == "gone"


def test_debug_shows_the_whole_trace(monkeypatch: pytest.MonkeyPatch):
    """TRUNKLINE_DEBUG=1 lets the exception through."""
    monkeypatch.setenv("TRUNKLINE_DEBUG", "1")
    with pytest.raises(PlanMissing):
        run_at_edge(lambda: _raise(PlanMissing("gone")))


def test_an_answer_with_an_error_is_no(capsys: pytest.CaptureFixture[str]):
    """Status 1 = the answer is no; a warning alone is yes."""
    answer("check", problems=[Problem(code="a", message="odd", severity="warning")], text="fine")
    with pytest.raises(BaseException) as ended:
        answer("check", problems=[Problem(code="b", message="bad", path="x.yaml", line=3, column=1)])
    assert getattr(ended.value, "exit_code", None) == 1
    assert "x.yaml:3:1: error: bad" in capsys.readouterr().out


def test_home_reaches_the_command(tmp_path: Path):
    """`--home` stands before the command and wins over the environment."""
    done = typed("--home", tmp_path / "here", "doctor", "--json", env={"TRUNKLINE_HOME": "/elsewhere"})
    checks = {check["name"]: check["message"] for check in json.loads(done.stdout)["checks"]}
    assert checks["settings"] == f"home is {tmp_path}/here"


def test_completion_offers_commands_and_options():
    """A shell's completion asks the same command."""
    env = {"_TRUNKLINE_COMPLETE": "complete_bash", "COMP_WORDS": "trunkline doc", "COMP_CWORD": "1"}
    assert "doctor" in typed(env=env).stdout
    env |= {"COMP_WORDS": "trunkline doctor --j", "COMP_CWORD": "2"}
    assert "--json" in typed(env=env).stdout


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("plain öß 日本", "plain öß 日本"),
        ("a\x1b[2J\x1b]0;t\x07b", "a\\x1b[2J\\x1b]0;t\\x07b"),
        ("s1\n12:00 accepted", "s1\\n12:00 accepted"),
        ("a\u202eb", "a\\u202eb"),
        ("山田\u3000太郎 می\u200cخواهم 1\u202f234", "山田\u3000太郎 می\u200cخواهم 1\u202f234"),
    ],
)
def test_what_strangers_write_is_shown_and_does_nothing(said, shown):
    """No terminal is cleared, no line forged, no writing turned round."""
    assert printable(said) == shown
    assert printable("one\ntwo\x1b", keep="\n") == "one\ntwo\\x1b"
    assert json.loads(to_json({"login": said})) == {"login": said}
    assert printable(to_json({"login": said})) == to_json({"login": said})


def test_a_disk_that_takes_nothing_is_no_fault_of_ours(capsys):
    """One sentence that says where and what to do."""

    def write() -> None:
        raise OSError(errno.EROFS, "Read-only file system", "/srv/home/x")

    with pytest.raises(SystemExit) as ended:
        run_at_edge(write)
    told = "Read-only file system (/srv/home/x); make room, or let the account that runs this write there"
    assert (ended.value.code, capsys.readouterr().err) == (3, f"trunkline: {told}\n")
