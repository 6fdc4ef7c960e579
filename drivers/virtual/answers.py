"""An answer as text for people (tables, `name: value`) or as one line of JSON for programs."""

from typing import Any

import msgspec


def as_json(answer: Any) -> str:
    """One line of JSON."""
    return msgspec.json.encode(answer).decode() + "\n"


def as_text(answer: Any) -> str:
    """Text ends with a newline, or is empty."""
    plain = msgspec.to_builtins(answer)
    if plain is None:
        return ""
    if isinstance(plain, str):
        return plain
    if isinstance(plain, dict):
        return "".join(f"{name}: {value}\n" for name, value in plain.items())
    return _table([row if isinstance(row, dict) else {"": row} for row in plain])


def _table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    cells = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)
    return "".join(f"{line.rstrip()}\n" for line in lines if line.strip())
