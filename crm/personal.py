"""Personal facts at rest: one JSON text, sealed where this node has a data key."""

from typing import Any

import msgspec

from core.crypto import DataKey, is_sealed, open_, seal

_NAME = "personal"
HIDDEN = {"name": "(sealed)"}
"""What is shown where the key is not at hand."""


def store(key: DataKey | None, owner: str, facts: dict[str, Any]) -> str:
    """The text to keep for `owner` (`customer/C-10001`)."""
    text = msgspec.json.encode(facts).decode()
    return text if key is None else seal(key, text, owner, _NAME)


def read(key: DataKey | None, owner: str, text: str) -> dict[str, Any]:
    """The facts; without the key those of a sealed text stay hidden. Raises SecretNotReadable."""
    if is_sealed(text):
        if key is None:
            return dict(HIDDEN)
        text = open_(key, text, owner, _NAME)
    return dict(msgspec.json.decode(text))
