"""The states of an order, in order, and the allowed transitions in one table."""

from enum import StrEnum


class State(StrEnum):
    """Where an order is."""

    DRAFT = "draft"
    PLACED = "placed"
    PROVISIONING = "provisioning"
    ACTIVE = "active"
    CANCELLED = "cancelled"
    FAILED = "failed"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.DRAFT: frozenset({State.PLACED, State.CANCELLED}),
    State.PLACED: frozenset({State.PROVISIONING, State.CANCELLED}),
    State.PROVISIONING: frozenset({State.ACTIVE, State.FAILED}),
    State.ACTIVE: frozenset(),
    State.CANCELLED: frozenset(),
    State.FAILED: frozenset({State.PLACED}),  # mended and placed again
}
