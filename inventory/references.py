"""Reading with narrow questions, so that recorded reads stay few and say what a device really depends on."""

from collections.abc import Iterator
from typing import Any

from intents.reader import Reader


def referring(reader: Reader, kind: str, identifier: str, by: str) -> Iterator[tuple[str, Any]]:
    """(id, value) of the documents of kind `by` that name `kind`/`identifier`, ordered by id."""
    for found_kind, found in sorted(reader.referrers(kind, identifier, by)):
        value = reader.get(found_kind, found)
        if value is not None:
            yield found, value
