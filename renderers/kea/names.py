"""Names that the configuration and the reservations share: a client class stands for a pool."""


def class_of(pool: str) -> str:
    """The client class whose members get their address from the pool."""
    return f"tl-{pool}"
