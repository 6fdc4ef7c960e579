"""Errors are nouns that carry the object and speak to the operator; only `api` knows HTTP."""


class TrunklineError(Exception):
    """Base of all our errors. `str()` is one clear sentence: what, where, and what to do."""

    code = "error"


class Retryable(TrunklineError):
    """Trying again later may work (a device is away, a lock is held, a peer is slow)."""

    code = "retryable"


class Terminal(TrunklineError):
    """Trying again cannot work before somebody changes something."""

    code = "terminal"


def first_line(error: Exception) -> str:
    """An error's first line, for a line in the log; its name when it says nothing. Never raises."""
    return (str(error).splitlines() or [repr(error)])[0]
