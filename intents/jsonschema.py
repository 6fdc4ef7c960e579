"""JSON Schemas of the kinds, for editors that complete and check while one types; the loader checks more."""

from typing import Any

import msgspec

from intents import scalars
from intents.homes import Home
from intents.kinds import KINDS

_PATTERNS: dict[type, str] = {
    scalars.Rate: r"^[0-9]+(\.[0-9]+)?[kMGT]?$",
    scalars.Volume: r"^[0-9]+(\.[0-9]+)?[kMGT]?$",
    scalars.Duration: r"^[0-9]+[smhd]?$",
    scalars.TimeOfDay: r"^[0-2][0-9]:[0-5][0-9]$",
    scalars.Window: r"^[0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9]$",
    scalars.Secret: r"^enc:v[0-9]+:\S+$",
    Home: r"^(radsec:)?[A-Za-z0-9.:\[\]-]+(/[0-9]+)?$",
    scalars.Amount: r"^-?[0-9]+(\.[0-9]+)?$",
    scalars.Serial: r"^[A-Za-z0-9]{4}[0-9A-Fa-f]{8}$",
}
_NUMBERS = (scalars.Rate, scalars.Volume, scalars.Duration)


def schemas() -> dict[str, dict[str, Any]]:
    """kind -> JSON Schema (2020-12) of its files; kinds that are no YAML have none."""
    return {name: schema(name) for name, kind in KINDS.items() if kind.read is None}


def schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of a kind's files."""
    known = KINDS[kind]
    made = msgspec.json.schema(known.struct, schema_hook=_scalar)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"Trunkline {kind}", **made}


def globs() -> dict[str, list[str]]:
    """Schema file -> the files that it is for: what an editor's settings want."""
    return {
        f"schemas/{name}.schema.json": [known.pattern.replace("{shard}", "*/*").replace("{id}", "*")]
        for name, known in KINDS.items()
        if known.read is None
    }


def _scalar(cls: type[Any]) -> dict[str, Any]:
    if cls is scalars.VlanSet:
        one = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 4094}, {"type": "string"}]}
        return {"anyOf": [*one["anyOf"], {"type": "array", "items": one}], "description": cls.expects}
    text: dict[str, Any] = {"type": "string"}
    if cls in _PATTERNS:
        text["pattern"] = _PATTERNS[cls]
    if cls in _NUMBERS:
        return {"anyOf": [text, {"type": "integer", "minimum": 0}], "description": cls.expects}
    return {**text, "description": getattr(cls, "expects", "")}
