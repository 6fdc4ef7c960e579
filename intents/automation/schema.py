"""automations/<id>.yaml: an event and what follows from it."""

from typing import Annotated

import msgspec
from msgspec import Meta

from intents.scalars import Line, Text
from intents.structs import Intent

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_.-]{0,62}$", description="a dotted name in lower case")]


class Action(Intent, frozen=True, kw_only=True):
    """A registered action and its arguments."""

    action: Name
    with_: dict[Name, bool | int | Line] = msgspec.field(name="with", default_factory=dict)


class Automation(Intent, frozen=True, kw_only=True):
    """On an event (`session.stopped`), when the Jinja2 expression is true, do this."""

    on: Name
    when: Text | None = None
    do: Annotated[tuple[Action, ...], Meta(min_length=1, description="one action or more")]
    enabled: bool = True
