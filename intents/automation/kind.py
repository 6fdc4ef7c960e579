"""Automations as a kind: their condition must parse."""

from collections.abc import Iterator

from intents.automation.schema import Automation
from intents.expressions import mistake
from intents.kind import Complaint, Kind


def complaints(automation: Automation) -> Iterator[Complaint]:
    """A condition that Jinja2 cannot read."""
    if automation.when is not None and (why := mistake(automation.when)):
        yield Complaint("expression", ("when",), f"`when` is no expression: {why}")


KIND = Kind(
    name="automation",
    struct=Automation,
    pattern="automations/{id}.yaml",
    plural="automations",
    complaints=complaints,
)
