"""A comparison as Markdown: for a pull request's comment, and for the summary of a pipeline's step."""

from collections import Counter

from ci.compare import Compared
from core.preview import Section
from core.problems import Problem

MAX_CHARACTERS = 60_000
"""A comment on GitHub holds 65,536 characters."""
MAX_PROBLEMS = 100


def report(compared: Compared) -> str:
    """The whole text, never longer than MAX_CHARACTERS."""
    parts = [f"## Trunkline preview\n\n{_head(compared)}"]
    if compared.problems:
        parts.append(_problems(list(compared.problems)))
    if compared.base and not compared.sections:
        parts.append("Nothing changes on any device, for any subscriber, or in revenue.")
    if not compared.base:
        parts.append("There is no commit to compare with: only the files were checked.")
    return _within([*parts, *map(_section, compared.sections)])


def _head(compared: Compared) -> str:
    levels = Counter(problem.severity for problem in compared.problems)
    verdict = (
        f"❌ **{_counted(levels['error'], 'error')}**"
        if levels["error"]
        else f"⚠️ {_counted(levels['warning'], 'warning')}, no error"
        if levels["warning"]
        else "✅ valid"
    )
    checked = f"{_counted(compared.examined.files, 'file')} checked"
    if not compared.base:
        return f"{verdict}; {checked}."
    head = f"`{compared.head[:12]}`" if compared.head else "the files here"
    return f"{verdict}; {checked}, {len(compared.changed)} differ from `{compared.base[:12]}` to {head}."


def _problems(problems: list[Problem]) -> str:
    """Errors first."""
    ordered = sorted(problems, key=lambda problem: (problem.severity != "error", *problem.order()))
    rows = ["| where | | problem | hint |", "|---|---|---|---|", *map(_row, ordered[:MAX_PROBLEMS])]
    if len(ordered) > MAX_PROBLEMS:
        rows.append(f"| … | | {len(ordered) - MAX_PROBLEMS} more | `trunkline validate` lists all |")
    return "\n".join(["### Problems", "", *rows])


def _row(problem: Problem) -> str:
    place = ":".join(str(part) for part in (problem.path, problem.line, problem.column) if part)
    cells = [
        f"`{place}`" if place else "",
        problem.severity,
        f"{problem.message} `{problem.code}`",
        problem.hint,
    ]
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(text: str) -> str:
    """Text of somebody's file inside a table: it must end neither the cell nor the table."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _section(section: Section) -> str:
    return f"### {section.title}\n\n{section.markdown}"


def _within(parts: list[str]) -> str:
    """Whole parts as long as they fit; a part that does not is named."""
    text, left = "", []
    for part in parts:
        if len(text) + len(part) + 400 > MAX_CHARACTERS:
            left.append(part.splitlines()[0].removeprefix("### "))
        else:
            text += part + "\n\n"
    if left:
        text += f"Too long to be shown here: {', '.join(left)}; `trunkline ci --json` has all of it.\n"
    return text.rstrip() + "\n"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
