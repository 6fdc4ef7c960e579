"""Which files a pppd BNG has of us, and what in them is secret."""

import re

from drivers.file_set import File, FileRules, NotAFileSet

_SECRETS = "/etc/trunkline/radius/servers"


def masked(path: str, text: str) -> str:
    """The text without RADIUS secrets."""
    return re.sub(r"(?m)^(\S+) .*$", r"\1 <secret>", text) if path == _SECRETS else text


RULES = FileRules(
    platform="linux_pppd",
    allowed="/etc/(?:ppp|trunkline)/[A-Za-z0-9._/-]+",
    where="/etc/ppp, /etc/trunkline",
    forbidden=("/etc/trunkline/agent", "/etc/trunkline/state/"),
    mask=masked,
)
parse, text_of, difference = RULES.parse, RULES.text_of, RULES.difference

__all__ = ["RULES", "File", "NotAFileSet", "difference", "masked", "parse", "text_of"]
