"""The difference of two renderings, as people read it."""

import difflib

import msgspec

from core.preview import cut
from renderers.contract import Rendered

_CONTEXT = 3


class Difference(msgspec.Struct, frozen=True):
    """A unified diff without its two head lines; empty where nothing differs."""

    text: str = ""
    added: int = 0
    removed: int = 0

    def __bool__(self) -> bool:
        return bool(self.text)


def difference(before: str, after: str) -> Difference:
    """What of `before` goes and what of `after` comes."""
    if before == after:
        return Difference()
    lines = list(
        difflib.unified_diff(before.splitlines(), after.splitlines(), n=_CONTEXT, lineterm="")
    )[2:]  # fmt: skip
    added = sum(line.startswith("+") for line in lines)
    return Difference("\n".join(lines), added, sum(line.startswith("-") for line in lines))


def text_of(rendered: Rendered) -> str:
    """The whole rendering as one text; files under their paths."""
    files = (f"=== {path}\n{text}" for path, text in sorted(rendered.files.items()))
    return "\n".join([rendered.config, *files]) if rendered.files else rendered.config


def shown(title: str, found: Difference, limit: int) -> list[str]:
    """Markdown that unfolds: a fenced diff of at most `limit` lines."""
    lines = cut(found.text.splitlines(), limit)
    fence = "`" * max(3, 1 + max((_ticks(line) for line in lines), default=0))
    heading = f"<summary>{title} +{found.added} −{found.removed}</summary>"
    return ["<details>" + heading, "", f"{fence}diff", *lines, fence, "</details>"]


def counted(count: int, noun: str) -> str:
    """`1 device`, `2 devices`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _ticks(line: str) -> int:
    stripped = line[1:].lstrip() if line else ""
    return len(stripped) - len(stripped.lstrip("`"))
