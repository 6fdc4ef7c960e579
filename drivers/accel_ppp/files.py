"""Which files an accel-ppp BNG has of us, and what in them is secret."""

import re

from drivers.file_set import FileRules

CONF = "/etc/accel-ppp.conf"
_SERVER = re.compile(r"(?m)^(\s*(?:server|auth-server|acct-server|dae-server)\s*=[^,\n]*,)[^,\n]*")
_WORD = re.compile(r"(?m)^(\s*(?:dm_coa_secret|secret|password)\s*=\s*)(?!(?:username|empty|csid)\s*$).*")


def masked(path: str, text: str) -> str:
    """The text without RADIUS secrets and the CLI's password."""
    if path != CONF:
        return text
    return _WORD.sub(r"\1<secret>", _SERVER.sub(r"\1<secret>", text))


RULES = FileRules(
    platform="accel_ppp",
    allowed="/etc/(?:accel-ppp[.]conf|trunkline/[A-Za-z0-9._/-]+)",
    where=f"{CONF}, /etc/trunkline",
    forbidden=("/etc/trunkline/agent", "/etc/trunkline/state/"),
    mask=masked,
)
