"""The states of a change set, closed and in order, and every transition that may happen."""

from enum import StrEnum


class State(StrEnum):
    """Where a change set is. `landed` and what follows it in this list are final."""

    QUEUED = "queued"
    BATCHED = "batched"
    PARKED = "parked"
    LANDED = "landed"
    CONFLICTED = "conflicted"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"

    @property
    def is_final(self) -> bool:
        """Whether nothing can follow."""
        return not TRANSITIONS[self]


TRANSITIONS: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset(
        {State.BATCHED, State.LANDED, State.PARKED, State.CONFLICTED, State.REJECTED, State.SUPERSEDED}
    ),  # straight to landed: everything was so already, there is nothing to commit
    State.BATCHED: frozenset({State.LANDED, State.QUEUED}),  # back: trunk moved, or we died before publishing
    State.PARKED: frozenset({State.QUEUED, State.REJECTED}),  # a person released or dropped it
    State.LANDED: frozenset(),
    State.CONFLICTED: frozenset(),
    State.REJECTED: frozenset(),
    State.SUPERSEDED: frozenset(),
}


def sources_of(target: State) -> list[str]:
    """The states from which `target` may be reached."""
    return [state.value for state, targets in TRANSITIONS.items() if target in targets]
