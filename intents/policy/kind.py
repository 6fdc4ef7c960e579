"""Policies as a kind: their expressions must parse."""

from collections.abc import Iterator

from intents.expressions import mistake
from intents.kind import Complaint, Kind
from intents.policy.schema import Policy


def complaints(policy: Policy) -> Iterator[Complaint]:
    """Expressions that Jinja2 cannot read."""
    for key in ("when", "require"):
        text = getattr(policy, key)
        if text is not None and (why := mistake(text)):
            yield Complaint("expression", (key,), f"`{key}` is no expression: {why}")


KIND = Kind(
    name="policy", struct=Policy, pattern="policies/{id}.yaml", plural="policies", complaints=complaints
)
