"""policies/<id>.yaml: a rule over the model that every commit must keep."""

from typing import Literal

from intents.scalars import Line, Text
from intents.structs import Intent


class Policy(Intent, frozen=True, kw_only=True):
    """For each document of a kind that matches `when`, `require` must be true. Both are Jinja2 expressions."""

    kind: Literal["site", "edge", "device", "link", "pool", "plan", "line", "service", "hold"]
    when: Text | None = None
    require: Text
    message: Line
    severity: Literal["error", "warning"] = "error"
