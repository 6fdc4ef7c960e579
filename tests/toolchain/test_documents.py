"""Documents are true: references follow the code, links resolve, and marked examples print what they show."""

import os
import sys
from pathlib import Path

import pytest

from tests.documents.__main__ import stale
from tests.documents.examples import Example, agrees, examples
from tests.documents.links import broken_links, documents, links, slug
from tests.support import ROOT, run

WITH_EXAMPLES = [path for path in documents() if examples(path.read_text(encoding="utf-8"))]


def test_references_say_what_the_code_says():
    """docs/reference is what `make docs` would write now."""
    assert stale() == []


def test_links_of_documents_resolve():
    """No link leads to a file or heading that is not there."""
    assert list(broken_links()) == []


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_run_and_print_what_they_show(path: Path, tmp_path: Path):
    """A reader who types a document's marked examples sees the same."""
    for example in examples(path.read_text(encoding="utf-8")):
        done = run(
            ["bash", "-c", example.command], cwd=tmp_path, env=reader(tmp_path), check=False, timeout=240
        )
        where = f"{path.relative_to(ROOT)}:{example.line}: $ {example.command}"
        assert done.returncode == example.status, f"{where}\n{done.stdout}{done.stderr}"
        assert agrees(example.expected, done.stdout), f"{where}\nprinted:\n{done.stdout}{done.stderr}"


def reader(home: Path) -> dict[str, str]:
    """A reader's environment: our command in PATH, a home of their own, a fixed width and no colours."""
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "Reader",
        "GIT_AUTHOR_EMAIL": "reader@example.net",
        "GIT_COMMITTER_NAME": "Reader",
        "GIT_COMMITTER_EMAIL": "reader@example.net",
    }


DOCUMENT = """\
<!-- runs: status 1 -->
```console
$ echo one \\
> two
one two
$ false
```
```console
$ never
```
"""


def test_only_marked_blocks_are_examples():
    """A command may go on in the next line; the status belongs to the block's last command."""
    assert examples(DOCUMENT) == [
        Example(3, "echo one \\\ntwo", "one two\n", 0),
        Example(6, "false", "", 1),
    ]


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("took … ms\n", "took 17 ms\n", True),
        ("a\n…\nz\n", "a\nb\nc\nz\n", True),
        ("a\n…\nz\n", "a\nz\n", True),
        ("a\nz\n", "a\nb\nz\n", False),
        ("", "anything", True),
        ("1.0\n", "1x0\n", False),
    ],
)
def test_ellipses_stand_for_what_changes(expected: str, printed: str, same: bool):
    """`…` is any text within a line, or any number of lines."""
    assert agrees(expected, printed) is same


def test_links_in_code_are_no_links():
    """Fenced blocks and code spans are text."""
    assert links("see [a](b.md) and `[c](d.md)`\n```\n[e](f.md)\n```\n") == ["b.md"]


def test_a_heading_becomes_its_anchor():
    """As forges write them."""
    assert slug("What `init` writes, and why") == "what-init-writes-and-why"
