"""Links between our documents: the file is there, and so is the heading."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.support import ROOT

# [text](target) and ![picture](target); code spans and fenced blocks are taken out first.
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`[^`\n]*`")
_HEADING = re.compile(r"^#+\s+(.+?)\s*$", re.MULTILINE)
_PLACES = ("*.md", "docs/**/*.md", "examples/**/*.md", "*/README.md", "*/*/README.md")
_NOT_OURS = {".venv", "node_modules"}


def documents() -> list[Path]:
    """Every Markdown document of the work tree."""
    found = {path for pattern in _PLACES for path in ROOT.glob(pattern)}
    return sorted(path for path in found if not _NOT_OURS & set(path.relative_to(ROOT).parts))


def broken_links() -> Iterator[str]:
    """A sentence for every link that leads nowhere."""
    for path in documents():
        for target in links(path.read_text(encoding="utf-8")):
            why = _fault(path, target)
            if why:
                yield f"{path.relative_to(ROOT)}: link {target}: {why}"


def links(text: str) -> list[str]:
    """Targets of the links of a Markdown text."""
    return _LINK.findall(_SPAN.sub("", _FENCE.sub("", text)))


def slug(heading: str) -> str:
    """The anchor that a forge makes from a heading: lower case, punctuation dropped, dashes for spaces."""
    plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")


def _fault(document: Path, target: str) -> str:
    if re.match(r"[a-z][a-z0-9+.-]*:", target):
        return ""
    place, _, anchor = target.partition("#")
    file = (document.parent / place).resolve() if place else document
    if not file.exists():
        return "no such file"
    if anchor and file.suffix == ".md":
        headings = _HEADING.findall(_FENCE.sub("", file.read_text(encoding="utf-8")))
        return "" if anchor in {slug(heading) for heading in headings} else "no such heading"
    return ""
