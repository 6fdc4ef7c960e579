"""The reference of kinds and of problem codes as Markdown, written from the structures."""

import datetime
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

from intents.codes import CODES
from intents.diagnose import shape
from intents.dump import to_mapping
from intents.kinds import KINDS
from intents.scalar import Scalar

_WRITTEN = "<!-- written by `make docs`; edit the code instead -->"


def fields() -> str:
    """docs/reference/intents.md: every kind, its path, its fields with type, default and meaning."""
    parts = [_WRITTEN, "# Intents", "One thing, one file; the path gives kind and id. Secrets are sealed."]
    for name, kind in sorted(KINDS.items()):
        parts += [f"## {name}", f"`{_path(kind.pattern)}`"]
        parts += list(_structs(kind.struct)) if kind.read is None else [_sentence(kind.struct)]
    return "\n\n".join(parts) + "\n"


def codes() -> str:
    """docs/reference/problems.md: every code of a problem and what it means."""
    rows = [f"| `{code}` | {meaning} |" for code, meaning in sorted(CODES.items())]
    table = "\n".join(["| code | meaning |", "|---|---|", *rows])
    return (
        "\n\n".join(
            [_WRITTEN, "# Problems", "What `trunkline validate` and CI can say; codes are stable.", table]
        )
        + "\n"
    )


def _path(pattern: str) -> str:
    return pattern.replace("{shard}", "<aa>/<bb>").replace("{id}", "<id>")


def _structs(struct: Any) -> Iterator[str]:
    """The kind's own structure first, then those inside it, each once."""
    waiting, done = [shape(struct)], set[type]()
    while waiting:
        kind = _bare(waiting.pop(0))
        if isinstance(kind, inspect.StructType) and kind.cls not in done:
            done.add(kind.cls)
            tag = f" (`{kind.tag_field}: {kind.tag}`)" if kind.tag_field else ""
            yield f"**{kind.cls.__name__}**{tag}: {_sentence(kind.cls)}"
            yield _table(kind)
        waiting += _inner(kind)


def _sentence(cls: type) -> str:
    return " ".join((cls.__doc__ or "").split())


def _bare(kind: inspect.Type) -> inspect.Type:
    return _bare(kind.type) if isinstance(kind, inspect.Metadata) else kind


def _inner(kind: inspect.Type) -> list[inspect.Type]:
    if isinstance(kind, inspect.StructType):
        return [field.type for field in kind.fields]
    if isinstance(kind, inspect.UnionType):
        return list(kind.types)
    if isinstance(kind, inspect.DictType):
        return [kind.value_type]
    return [kind.item_type] if isinstance(kind, inspect.VarTupleType) else []


def _table(kind: inspect.StructType) -> str:
    rows = [f"| `{field.encode_name}` | {_name(field.type)} | {_default(field)} |" for field in kind.fields]
    return "\n".join(["| key | value | default |", "|---|---|---|", *rows])


_PLAIN: dict[type, str] = {
    inspect.BoolType: "true or false",
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.StrType: "text",
    inspect.DateType: "a date",
    inspect.DateTimeType: "a time",
    inspect.NoneType: "nothing",
}


def _name(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.Metadata):
        return (kind.extra_json_schema or {}).get("description") or _name(kind.type)
    if isinstance(kind, inspect.UnionType):
        return " or ".join(_name(item) for item in kind.types if not isinstance(item, inspect.NoneType))
    if isinstance(kind, inspect.LiteralType):
        return ", ".join(f"`{value}`" for value in kind.values)
    if isinstance(kind, inspect.StructType):
        return kind.cls.__name__
    if isinstance(kind, inspect.DictType):
        return f"by name: {_name(kind.value_type)}"
    if isinstance(kind, inspect.VarTupleType):
        return f"list of {_name(kind.item_type)}"
    if isinstance(kind, inspect.CustomType) and issubclass(kind.cls, Scalar):
        return kind.cls.expects
    return _PLAIN[type(kind)]


def _default(field: inspect.Field) -> str:
    if field.required:
        return "**must be there**"
    made = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    value = to_mapping(made)
    if value is None or value in ([], {}, "") or isinstance(value, dict | datetime.date):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
