"""Problem: one mistake with its place and its remedy; and the envelope of every `--json` answer."""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

Severity = Literal["error", "warning"]


class Problem(msgspec.Struct, frozen=True, omit_defaults=False):
    """A mistake. `line` and `column` count from 1; 0 means that the place is the whole file."""

    code: str
    message: str
    path: str = ""
    line: int = 0
    column: int = 0
    severity: Severity = "error"
    hint: str = ""

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.path, self.line, self.column) if part)
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}: {self.severity}: {self.message}{hint} [{self.code}]".removeprefix(": ")

    def order(self) -> tuple[str, int, int, str]:
        """Sort key: by path, then by place in the file."""
        return (self.path, self.line, self.column, self.code)


def has_errors(problems: Iterable[Problem]) -> bool:
    """Whether any problem is more than a warning."""
    return any(problem.severity == "error" for problem in problems)


def envelope(what: str, problems: Iterable[Problem] = (), version: int = 1, **fields: Any) -> dict[str, Any]:
    """The JSON contract: `{"schema": "trunkline.<what>/<version>", …fields, "problems": […]}`."""
    return {
        "schema": f"trunkline.{what}/{version}",
        **fields,
        "problems": [msgspec.to_builtins(problem) for problem in problems],
    }
