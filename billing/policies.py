"""Dunning policies as data: their steps, and what each does to a service."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml
from sqlalchemy.engine import Connection

from billing.collecting.calendars import Calendar
from billing.errors import PolicyNotUsable
from billing.models import dunning_policy
from billing.stages import INTERNET, Policy, Step
from core import db
from core.errors import Terminal
from core.money import Money
from intents.scalars import Rate
from intents.yaml_strict import parse_nodes

_DAYS_MOST = 3660
EFFECTS = ("", "throttle", "walled-garden", "block")
"""What a step may do, the mildest first; nothing: it only tells."""
CHANNELS = ("letter", "e-mail", "sms", "call")
"""How a step is told; `call`: on the list of those who telephone."""
SENT = CHANNELS[:3]
"""How a reminder is told: nobody telephones before the due date."""


def set_policy(
    conn: Connection,
    name: str,
    steps: Sequence[Step],
    *,
    grace: int = 0,
    minimum: dict[str, str] | None = None,
    calendar: Calendar | None = None,
) -> None:
    """Set a policy by name; accounts that name it follow it from the next run. Raises PolicyNotUsable."""
    ordered = tuple(sorted(steps, key=lambda step: step.days))
    store(conn, name, Policy(ordered, grace, minimum or {}, calendar or Calendar()))


def store(conn: Connection, name: str, policy: Policy) -> None:
    """Store a policy. Raises PolicyNotUsable."""
    require_usable(name, policy)
    row = {"name": name, "policy": msgspec.to_builtins(policy)}
    db.upsert(conn, dunning_policy, [row], ["name"])


def require_usable(name: str, policy: Policy) -> None:
    """Raise PolicyNotUsable for what makes no sense."""
    if why := _why_not(policy):
        raise PolicyNotUsable(name, why)


def read(name: str, file: Path) -> Policy:
    """A policy from a YAML file. Raises PolicyNotUsable with the file, the line or the field."""
    try:
        text = file.read_text(encoding="utf-8")
        content: Any = yaml.safe_load(text)
        policy = Policy.of(msgspec.convert(content, dict))
    except OSError as error:
        raise PolicyNotUsable(name, f"{file} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{file}:{mark.line + 1}" if mark else str(file)
        raise PolicyNotUsable(name, f"{place} is no YAML") from error
    except (msgspec.ValidationError, UnicodeDecodeError) as error:
        raise PolicyNotUsable(name, f"{file}: {error}") from error
    if odd := policy.calendar.odd_holiday():
        raise PolicyNotUsable(name, f"{file}{_place(text, odd[0])}: {odd[1]}")
    return policy


def _place(text: str, holiday: int) -> str:
    """`:line:column` of a holiday in a policy's file; empty where only another reader of YAML finds it."""
    node = parse_nodes(text).node
    for key in ("calendar", "holidays", holiday):
        node = node.children.get(key) if node is not None else None
    return f":{node.mark.line}:{node.mark.column}" if node is not None else ""


def _why_not(policy: Policy) -> str:
    if not policy.steps:
        return "it has no steps"
    if policy.grace < 0 or any(step.days < 1 for step in policy.steps):
        return "a step comes at least one day after the due date, and grace is no less than 0 days"
    if policy.grace > _DAYS_MOST or any(step.days > _DAYS_MOST for step in policy.steps):
        return f"a step comes at most {_DAYS_MOST} days after the due date, and grace is no more"
    if len({step.name for step in policy.steps}) < len(policy.steps):
        return "two of its steps have one name"
    for step in policy.steps:
        if why := _why_not_step(step):
            return why
    return _why_not_before(policy) or _amounts(policy.minimum, "minimum") or policy.calendar.why_not()


def _why_not_before(policy: Policy) -> str:
    """Why a reminder or the announcement makes no sense; empty when they do."""
    told = [("a reminder", one) for one in policy.reminders]
    told += [("announce", policy.announce)] if policy.announce else []
    for what, one in told:
        if not 1 <= one.days <= 60:
            return f"{what} comes 1 to 60 days before, not {one.days}"
        if not one.channels or any(name not in SENT for name in one.channels):
            return f"{what} of {one.days} days is told by {', '.join(SENT)}, not by {', '.join(one.channels) or 'none'}"
    if len({one.days for one in policy.reminders}) < len(policy.reminders):
        return "two of its reminders come on one day"
    return ""


def _why_not_step(step: Step) -> str:
    for one in (step.effect, *step.services.values()):
        if one not in EFFECTS:
            return f"'{one}' is no effect of dunning; choose throttle, walled-garden, block or none"
    if wrong := [
        kind for kind, one in step.services.items() if kind != INTERNET and one not in ("", "block")
    ]:
        return f"step {step.name}: services of type {wrong[0]} can only be blocked or left alone"
    if ("throttle" in (step.effect, *step.services.values())) != (step.rate is not None):
        return f"step {step.name}: throttle and rate need each other, such as rate: [1M, 1M]"
    try:
        _ = [Rate.parse(one) for one in step.rate or ()]
    except (Terminal, ValueError):
        return f"step {step.name}: '{step.rate}' is no rate; write [down, up] such as [1M, 512k]"
    if wrong := [one for one in step.channels if one not in CHANNELS]:
        return f"step {step.name}: '{wrong[0]}' is no channel; choose {', '.join(CHANNELS)}"
    return _amounts(step.fee, f"step {step.name}: fee")


def _amounts(given: dict[str, str], what: str) -> str:
    for currency, text in given.items():
        try:
            if Money.parse(text, currency).minor <= 0:
                return f"{what}: {text} {currency} is not more than nothing"
        except Terminal as error:
            return f"{what}: {error}"
    return ""
