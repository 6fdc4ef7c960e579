"""Examples of documents, run as a reader would type them.

A fenced `console` block after a line `<!-- runs -->` is run by bash in an empty folder that all blocks of the document
share. `$ ` begins a command; the lines after it are what it prints (nothing shown: not compared). `…` stands for any
text within a line, and on a line of its own for any lines. `<!-- runs: status 1 -->` expects another exit status.
"""

import re
from typing import NamedTuple

_BLOCK = re.compile(
    r"^<!-- runs(?:: status (?P<status>\d+))? -->\n+```console\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL
)


class Example(NamedTuple):
    """One command of a document, what it should print, and how it should end."""

    line: int
    command: str
    expected: str
    status: int


def examples(text: str) -> list[Example]:
    """Every runnable command of a Markdown text, with its line there."""
    found: list[Example] = []
    for block in _BLOCK.finditer(text):
        first = text.count("\n", 0, block.start("body")) + 1
        found.extend(_commands(block["body"], first, int(block["status"] or 0)))
    return found


def _commands(body: str, first: int, status: int) -> list[Example]:
    found: list[Example] = []
    for offset, line in enumerate(body.splitlines()):
        if line.startswith("$ "):
            found.append(Example(first + offset, line[2:], "", status))
        elif found and found[-1].command.endswith("\\") and not found[-1].expected:
            found[-1] = found[-1]._replace(command=f"{found[-1].command}\n{line.removeprefix('> ')}")
        elif found:
            found[-1] = found[-1]._replace(expected=found[-1].expected + line + "\n")
    # Only the last command of a block ends with the block's status.
    return [one._replace(status=0) for one in found[:-1]] + found[-1:]


def agrees(expected: str, printed: str) -> bool:
    """Whether what was printed is what the document shows, up to its ellipses and space at line ends."""
    if not expected.strip():
        return True
    lines = [_line_pattern(line) for line in expected.rstrip().splitlines()]
    text = "".join(f"{line.rstrip()}\n" for line in printed.rstrip().splitlines())
    return re.fullmatch("".join(lines), text) is not None


def _line_pattern(line: str) -> str:
    if line.strip() in ("…", "..."):
        return r"(?:.*\n)*?"
    return ".*".join(re.escape(part) for part in line.rstrip().split("…")) + r"\n"
