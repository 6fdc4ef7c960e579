"""The states of a device run: a closed, ordered enum with the allowed transitions in one table."""

from enum import StrEnum
from itertools import pairwise

from core.errors import Terminal


class RunState(StrEnum):
    """Where a device is on its way to what trunk says; every state is a durable row before its side effect."""

    DESIRED = "desired"
    RENDERED = "rendered"
    VALIDATED = "validated"
    PLANNED = "planned"
    GATED = "gated"
    LEASED = "leased"
    PRECHECKED = "prechecked"
    STAGED = "staged"
    UNCONFIRMED = "committed-unconfirmed"
    SOAKING = "soaking"
    CONFIRMED = "confirmed"
    VERIFIED = "verified"
    OBSERVED = "observed"
    UNREACHABLE = "unreachable"
    STALE = "stale"
    REVERTED = "reverted-by-timer"
    QUARANTINED = "quarantined"
    PAUSED = "paused"
    SUPERSEDED = "superseded"


_S = RunState
FORWARD = (
    _S.DESIRED, _S.RENDERED, _S.VALIDATED, _S.PLANNED, _S.GATED, _S.LEASED, _S.PRECHECKED, _S.STAGED,
    _S.UNCONFIRMED, _S.SOAKING, _S.CONFIRMED, _S.VERIFIED,
)  # fmt: skip
ENDED = frozenset({_S.VERIFIED, _S.OBSERVED, _S.QUARANTINED, _S.SUPERSEDED})
WAITING = frozenset({_S.UNREACHABLE, _S.STALE, _S.REVERTED, _S.PAUSED})
ON_DEVICE = frozenset({_S.UNCONFIRMED, _S.SOAKING, _S.CONFIRMED})
"""A crash in one of these: ask the device; if in doubt let its timer revert."""

_SIDEWAYS = frozenset({_S.UNREACHABLE, _S.STALE, _S.PAUSED, _S.QUARANTINED, _S.SUPERSEDED, _S.DESIRED})
ALLOWED: dict[RunState, frozenset[RunState]] = {
    **{a: frozenset({b}) | _SIDEWAYS for a, b in pairwise(FORWARD)},
    _S.PLANNED: frozenset({_S.GATED, _S.VERIFIED, _S.OBSERVED}) | _SIDEWAYS,
    _S.UNCONFIRMED: frozenset({_S.UNCONFIRMED, _S.SOAKING, _S.REVERTED, _S.QUARANTINED}),
    _S.SOAKING: frozenset({_S.SOAKING, _S.CONFIRMED, _S.REVERTED, _S.QUARANTINED}),
    _S.CONFIRMED: frozenset({_S.CONFIRMED, _S.VERIFIED, _S.REVERTED, _S.STALE, _S.QUARANTINED}),
    **{state: frozenset({_S.DESIRED, _S.SUPERSEDED, _S.QUARANTINED, state}) for state in WAITING},
    _S.QUARANTINED: frozenset({_S.DESIRED, _S.SUPERSEDED}),
}


class TransitionRefused(Terminal):
    """A device run was asked to jump where it may not go: a mistake in the machine, never in the network."""

    def __init__(self, device: str, old: RunState, new: RunState) -> None:
        super().__init__(f"{device}: a run in '{old}' cannot become '{new}'")


def require(device: str, old: RunState, new: RunState) -> None:
    """Raise TransitionRefused unless the table allows the step."""
    if new not in ALLOWED.get(old, frozenset()):
        raise TransitionRefused(device, old, new)
