"""What may stand in the files of a pppd BNG: words of shell scripts and option files, and text of the page."""

import html as _html
import json as _json
import re

import msgspec

from core.errors import Terminal

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]*")


class NotPlain(Terminal):
    """A value that scripts and option files would not read as one word."""

    def __init__(self, value: object) -> None:
        super().__init__(
            f"{value!r} cannot stand in a script: only letters, digits and . _ : @ - are one word there"
        )


def plain(value: object) -> str:
    """The value as one harmless word of a shell script or an option file. Raises NotPlain."""
    if not _PLAIN.fullmatch(str(value)):
        raise NotPlain(value)
    return str(value)


def html(value: object) -> str:
    """The value as text of the page; also safe inside a quoted attribute."""
    return _html.escape(str(value), quote=True)


def json(value: object) -> str:
    """The value as JSON in one line; structs as objects."""
    return _json.dumps(msgspec.to_builtins(value, enc_hook=str), ensure_ascii=True)
