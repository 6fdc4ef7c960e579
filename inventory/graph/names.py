"""Names and ids of nodes: readable, unique, and possible as an intent's id whatever the label is."""

import html
import re
import unicodedata

_UNNAMED = {"", "?", "none", "null", "nan", "unknown", "unnamed", "n/a", "-"}
_LONGEST_NAME = 80
_LONGEST_ID = 20
"""Two ids, a separator and a number must fit into 63 characters: a link is named after its ends."""
# What decomposing does not take apart.
_LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "ae", "ø": "o", "Ø": "o", "ł": "l", "Ł": "l", "đ": "d", "ð": "d", "þ": "th"}
)


def clean(label: object) -> str:
    """A label as a name: entities opened, one line, no control or direction characters; "" when it says nothing."""
    text = unicodedata.normalize("NFC", html.unescape(str(label)))
    printable = "".join(char if char.isprintable() else " " for char in text)
    name = re.sub(r"\s+", " ", printable).strip()[:_LONGEST_NAME].strip()
    return "" if name.lower() in _UNNAMED else name


def slug(name: str) -> str:
    """Lower-case letters, digits and single hyphens; "" for a name in a script that has no Latin form."""
    plain = unicodedata.normalize("NFKD", name.translate(_LETTERS)).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:_LONGEST_ID].strip("-")


def unique(wanted: str, taken: dict[str, int], separator: str = "-") -> str:
    """`wanted`, or `wanted-2`, `wanted-3` …; the answer is taken from now on (ignoring case).

    `taken` has, for every name, the highest number that was tried behind it.
    """
    number = taken.get(wanted.lower(), 0) + 1
    name = wanted if number == 1 else f"{wanted}{separator}{number}"
    while name.lower() in taken:
        number += 1
        name = f"{wanted}{separator}{number}"
    taken[wanted.lower()] = number
    taken.setdefault(name.lower(), 1)
    return name
