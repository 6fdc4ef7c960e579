"""Dunning policies as data: their steps, and what each does to a service."""

from collections.abc import Sequence

import msgspec
from sqlalchemy.engine import Connection

from billing.errors import PolicyNotUsable
from billing.models import dunning_policy
from billing.stages import Policy, Step
from core import db

EFFECTS = ("", "walled-garden", "block")
"""What a step may do; nothing: it only tells."""


def set_policy(conn: Connection, name: str, steps: Sequence[Step], *, grace: int = 0) -> None:
    """Set a policy by name; accounts that name it follow it from the next run. Raises PolicyNotUsable."""
    policy = Policy(tuple(sorted(steps, key=lambda step: step.days)), grace)
    if why := _why_not(policy):
        raise PolicyNotUsable(name, why)
    row = {"name": name, "policy": msgspec.to_builtins(policy)}
    db.upsert(conn, dunning_policy, [row], ["name"])


def _why_not(policy: Policy) -> str:
    if not policy.steps:
        return "it has no steps"
    if policy.grace < 0 or any(step.days < 1 for step in policy.steps):
        return "a step comes at least one day after the due date, and grace is no less than 0 days"
    if wrong := [step.effect for step in policy.steps if step.effect not in EFFECTS]:
        return f"'{wrong[0]}' is no effect of dunning; choose walled-garden, block or none"
    return ""
