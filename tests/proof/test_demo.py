"""`trunkline demo`: the whole loop as a person sees it, and what the README shows of it."""

import re
import socket
from pathlib import Path

import pytest

from tests.support import ROOT, typed

STEPS = 10
_CHANGES = re.compile(r"set_\w+|\b[0-9a-f]{12,16}\b|\d+(?:\.\d+)?")


def shape(line: str) -> str:
    """A line without what differs from run to run: commits, ids, times."""
    return _CHANGES.sub("#", line).rstrip()


def shown_in_readme() -> list[str]:
    """Lines of the demo that the README quotes."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return [
        line for block in re.findall(r"```text\n(.*?)```", readme, re.DOTALL) for line in block.splitlines()
    ]


@pytest.mark.slow
def test_the_demo_ends_by_itself_and_says_what_the_readme_shows(tmp_path: Path) -> None:
    """Status 0; each step with its time; the console's address; every quoted line, but for figures. TMPDIR is too long
    for a socket's path.
    """
    folder = tmp_path / "a folder for temporary files with a name that leaves no room for a socket"
    folder.mkdir()
    done = typed("demo", "--once", env={"TMPDIR": str(folder)}, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"^ *\d+/10 ", done.stdout, re.MULTILINE)) == STEPS
    assert len(re.findall(r"^ +done in \d+\.\d+ s$", done.stdout, re.MULTILINE)) == STEPS
    assert re.search(r"console and API: http://127\.0\.0\.1:\d+/", done.stdout)
    printed = {shape(line) for line in done.stdout.splitlines()}
    quoted = shown_in_readme()
    assert len(quoted) > STEPS
    assert [line for line in quoted if shape(line) not in printed] == []


def test_a_demo_that_cannot_go_on_names_its_step(tmp_path: Path) -> None:
    """A taken port: status 3, the step, and no stack trace."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = typed("demo", "--once", "--port", port, env={"TMPDIR": str(tmp_path)}, timeout=120)
    assert done.returncode == 3
    assert "step 3" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
