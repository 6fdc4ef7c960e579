"""What strangers wrote (logins, texts of devices), so that whoever shows it shows it, and nothing more happens."""

import json
import unicodedata
from typing import Any

_DIRECTIONS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def printable(text: str, keep: str = "") -> str:
    """Text with all written out that does something to a terminal or a page: escape sequences, the end of a line, marks
    that turn the writing round; but for those to `keep`.
    """
    if text.isprintable():
        return text
    return "".join(
        one.encode("unicode_escape").decode() if one not in keep and _acts(one) else one for one in text
    )


def to_json(value: Any) -> str:
    """One line of JSON that a terminal may be given, too: the same is escaped, and letters stand as they are."""
    text = json.dumps(value, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(json.dumps(one)[1:-1] if _acts(one) else one for one in text)


def _acts(one: str) -> bool:
    """Whether a character is a control, no character at all, ends a line, or turns the direction of writing. One that
    this Python does not know yet is a letter of tomorrow.
    """
    return unicodedata.category(one) in ("Cc", "Cs", "Co", "Zl", "Zp") or one in _DIRECTIONS
