"""Names that the configuration and the reservations share: a client class stands for a pool."""

NOTHING = "tl.nothing"
"""The class of who is known and gets nothing: no subnet is open to it, and no pool's id has a dot."""


def class_of(pool: str) -> str:
    """The client class whose members get their address from the pool; "" is no pool."""
    return f"tl-{pool}" if pool else NOTHING
