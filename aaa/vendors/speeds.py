"""Speeds read back out of reply attributes: the templates of the vendor tables, the other way round."""

import re
from functools import cache
from typing import NamedTuple

from aaa.vendors.attributes import Attribute, decode
from aaa.vendors.registry import names, vendor

_WORDS = {"down": ("down", 1), "up": ("up", 1), "down_k": ("down", 1000), "up_k": ("up", 1000)}
_TAG = "[0-9]+:"


class _Template(NamedTuple):
    attribute: Attribute
    words: re.Pattern[str]


def speeds(number: int, code: int, value: bytes) -> list[tuple[str, int]] | None:
    """(`down` or `up`, bit/s) that an attribute says in the words of one of our tables. `number`: the vendor's, 0 for
    the RFCs' own. Empty: the fixed name of a profile that goes with the speeds; None: not our words.
    """
    for template in _templates().get((number, code), ()):
        found = template.words.fullmatch(decode(template.attribute, value))
        if found:
            told = ((_WORDS[word], text) for word, text in found.groupdict().items())
            return [(way, int(text) * factor) for (way, factor), text in told]
    return None


@cache
def _templates() -> dict[tuple[int, int], list[_Template]]:
    found: dict[tuple[int, int], list[_Template]] = {}
    for name in names():
        table = vendor(name)
        for line in table.reply.get("rate", ()):
            attribute = table.attributes[line.name]
            key = 0 if attribute.plain else attribute.number, attribute.code
            pattern = re.compile((_TAG if attribute.type.startswith("tagged") else "") + _read(line.value))
            found.setdefault(key, []).append(_Template(attribute, pattern))
    return found


def _read(template: str) -> str:
    """A template of a value as a pattern whose groups are its words."""
    parts = re.split(r"\{(\w+)\}", template)
    return "".join(
        f"(?P<{part}>[0-9]{{1,12}})" if odd else re.escape(part)
        for part, odd in zip(parts, [False, True] * len(parts), strict=False)
    )
