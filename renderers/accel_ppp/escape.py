"""What may stand in accel-ppp's files: its parser knows no quotes and cuts lines at 1023 octets (conf_file.c)."""

import re

from core.errors import Terminal

LONGEST = 900
"""Octets of a value; the name of the option stands before it."""
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/-]*")


class NotForAccelPpp(Terminal):
    """A value that accel-ppp's parser would read as something else."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what} cannot stand in accel-ppp.conf: {why}")


def word(value: object) -> str:
    """The value as one harmless word: pool names, addresses, ports. Raises NotForAccelPpp."""
    if not _WORD.fullmatch(str(value)):
        raise NotForAccelPpp(repr(value), "only letters, digits and . _ : @ / - are one word there")
    return str(value)


def text(value: object) -> str:
    """The value of an option as it is; a name may hold spaces. Raises NotForAccelPpp."""
    shown = str(value)
    if _broken(shown):
        raise NotForAccelPpp(repr(value), "it is empty, too long, or has what the parser reads as its own")
    return shown


def secret(value: object) -> str:
    """A shared secret: commas end it in `server=`. The error never shows it. Raises NotForAccelPpp."""
    clear = str(value)
    if _broken(clear) or "," in clear or not clear.isascii():
        raise NotForAccelPpp("a RADIUS secret", "it has a comma, a space at an end, or no ASCII; rotate it")
    return clear


def _broken(value: str) -> bool:
    odd = not value or value != value.strip() or value.endswith("{") or value.startswith("${")
    return odd or not value.isprintable() or len(value.encode()) > LONGEST
