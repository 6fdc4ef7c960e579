"""What FRR's parser cannot take inside a line."""

import re

from renderers.contract import CannotRender


def text(value: str) -> str:
    """Free text in a description: printable ASCII, single blanks, no `|` (vtysh reads it as an output filter)."""
    plain = re.sub(r"[^ -~]", "?", value).replace("|", "/")
    return re.sub(r" +", " ", plain).strip(" !#") or "-"


def password(device: str, value: str) -> str:
    """A BGP password is one word (RFC 2385 allows any octets, FRR's command line does not)."""
    masked = value.startswith("<secret:")  # a preview has no key
    if not masked and not re.fullmatch(r"[!-~]{1,80}", value):
        raise CannotRender(device, "a BGP password must be 1 to 80 printable characters without blanks")
    return value


def name(value: str) -> str:
    """A word for prefix-lists and route-maps."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", value)
