"""A finding: one thing that the doctor looked at."""

from typing import Literal

import msgspec

from core.problems import Problem

Level = Literal["ok", "warn", "fail"]


class Finding(msgspec.Struct, frozen=True):
    """What was looked at, how it is, and what to do when it is not well."""

    name: str
    level: Level
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.level:<4}  {self.name:<12}  {self.message}" + (f"; {self.hint}" if self.hint else "")

    def problem(self) -> Problem:
        """The same as a Problem of the JSON contract; only for what is not well."""
        severity: Literal["error", "warning"] = "error" if self.level == "fail" else "warning"
        return Problem(
            code=f"doctor-{self.name}",
            severity=severity,
            message=f"{self.name}: {self.message}",
            hint=self.hint,
        )
