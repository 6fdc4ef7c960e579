"""Every mistake of a document against its structure, each with its place. Only runs when the fast path failed."""

import datetime
import difflib
import functools
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import msgspec
from msgspec import inspect

from intents.kind import Complaint, Field
from intents.scalar import Scalar, shown
from intents.scalars import Secret, Text
from intents.yaml_strict import CONTROL, Mark, Node

# A file with more keys than any structure has gets no hints: finding them would cost seconds.
_MANY = 200


def convert(value: Any, struct: Any) -> Any:
    """Plain values to a structure with typed scalars. Raises msgspec.ValidationError."""
    return msgspec.convert(value, struct, dec_hook=_scalar)


def _scalar(cls: Any, value: object) -> Any:
    if issubclass(cls, Scalar):
        return cls.parse(value)
    raise NotImplementedError(cls)


@functools.cache
def shape(struct: Any) -> inspect.Type:
    """msgspec's description of a structure."""
    return inspect.type_info(struct)


def mistakes(node: Node, struct: Any) -> list[Complaint]:
    """Every mistake against the structure, in the order of the file's structure."""
    return list(_walk(node, shape(struct), ()))


def pruned(value: Any, struct: Any) -> Any:
    """The value without unknown keys at any depth, to see what else is wrong with it."""
    return _prune(value, shape(struct))


def place(node: Node, field: Field) -> Mark:
    """Where a field stands: its value, its key when the value begins in a later line, else the nearest thing above."""
    mark = node.mark
    for key in field:
        child = node.children.get(key)
        if child is None:
            return node.keys.get(str(key), mark)
        own = node.keys.get(str(key), child.mark)
        mark = child.mark if own.line == child.mark.line else own
        node = child
    return mark


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint with the nearest of the known words, or with all of them when they are few."""
    names = sorted(set(known))
    near = difflib.get_close_matches(word, names, 1, 0.6) if len(word) < 64 else []
    if near:
        return f"did you mean '{near[0]}'?"
    return f"known: {', '.join(names)}" if 0 < len(names) <= 24 else ""


def _walk(node: Node, kind: inspect.Type, field: Field) -> Iterator[Complaint]:
    if node.broken:
        return
    kind, description = _unwrap(kind)
    if isinstance(kind, inspect.UnionType):
        kind, description = _alternative(node, kind, description)
    if isinstance(kind, inspect.UnionType):
        yield from _tagged(node, kind, field)
    elif isinstance(kind, inspect.StructType):
        yield from _struct(node, kind, field)
    elif isinstance(kind, inspect.DictType):
        yield from _dict(node, kind, field)
    elif isinstance(kind, inspect.VarTupleType | inspect.ListType):
        yield from _list(node, kind, field, description)
    else:
        yield from _leaf(node.value, kind, field, description)


def _unwrap(kind: inspect.Type) -> tuple[inspect.Type, str]:
    description = ""
    while isinstance(kind, inspect.Metadata):
        description = (kind.extra_json_schema or {}).get("description", description)
        kind = kind.type
    return kind, description


def _alternative(node: Node, union: inspect.UnionType, description: str) -> tuple[inspect.Type, str]:
    """The member of a union that the value means; the union itself when members are told apart by a tag."""
    members = [_unwrap(member) for member in union.types]
    structs = [member for member, _ in members if isinstance(member, inspect.StructType)]
    if len(structs) > 1:
        return union, description
    if node.value is None and any(isinstance(member, inspect.NoneType) for member, _ in members):
        return inspect.NoneType(), ""
    others = [pair for pair in members if not isinstance(pair[0], inspect.NoneType)]
    fitting = [pair for pair in others if _same_shape(node.value, pair[0])] or others
    good = [pair for pair in fitting if not any(_walk(node, pair[0], ()))]
    chosen, own = (good or fitting)[0]
    return chosen, own or description


def _same_shape(value: Any, kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.CustomType):
        return True
    if isinstance(value, dict):
        return isinstance(kind, inspect.StructType | inspect.DictType)
    if isinstance(value, list):
        return isinstance(kind, inspect.VarTupleType | inspect.ListType)
    return not isinstance(
        kind, inspect.StructType | inspect.DictType | inspect.VarTupleType | inspect.ListType
    )


def _tagged(node: Node, union: inspect.UnionType, field: Field) -> Iterator[Complaint]:
    structs = [member for member in union.types if isinstance(member, inspect.StructType)]
    tag = structs[0].tag_field or "type"
    names = {str(member.tag): member for member in structs}
    if not isinstance(node.value, dict):
        yield Complaint("value.type", field, f"expected a mapping, not {shown(node.value)}")
    elif tag not in node.value:
        yield Complaint("key.missing", field, f"`{tag}` is missing", f"one of {', '.join(names)}")
    elif str(node.value[tag]) not in names:
        said = node.value[tag]
        yield Complaint(
            "value.choice", (*field, tag), f"`{tag}` cannot be {shown(said)}", nearest(str(said), names)
        )
    else:
        yield from _struct(node, names[str(node.value[tag])], field)


def _struct(node: Node, struct: inspect.StructType, field: Field) -> Iterator[Complaint]:
    if not isinstance(node.value, dict):
        yield Complaint("value.type", field, f"expected a mapping, not {shown(node.value)}")
        return
    known = {item.encode_name: item for item in struct.fields}
    names = {*known, *([struct.tag_field] if struct.tag_field else [])}
    for key, child in node.children.items():
        if key in known:
            yield from _walk(child, known[str(key)].type, (*field, key))
        elif key not in names:
            hint = nearest(str(key), names - node.children.keys()) if len(node.children) < _MANY else ""
            yield Complaint("key.unknown", (*field, key), f"unknown key {shown(key)}", hint)
    for name, item in known.items():
        if item.required and name not in node.children:
            yield Complaint("key.missing", field, f"`{name}` is missing")


def _dict(node: Node, kind: inspect.DictType, field: Field) -> Iterator[Complaint]:
    if not isinstance(node.value, dict):
        yield Complaint("value.type", field, f"expected a mapping, not {shown(node.value)}")
        return
    key_type, description = _unwrap(kind.key_type)
    for key, child in node.children.items():
        yield from _leaf(key, key_type, (*field, key), description)
        yield from _walk(child, kind.value_type, (*field, key))


def _list(
    node: Node, kind: inspect.VarTupleType | inspect.ListType, field: Field, description: str
) -> Iterator[Complaint]:
    if not isinstance(node.value, list):
        hint = "" if node.value is None or isinstance(node.value, dict) else f"write it as [{node.value}]"
        yield Complaint("value.type", field, f"expected a list, not {shown(node.value)}", hint)
        return
    for index, child in node.children.items():
        yield from _walk(child, kind.item_type, (*field, index))
    size = len(node.value)
    if size < (kind.min_length or 0) or (kind.max_length is not None and size > kind.max_length):
        yield Complaint(
            "value.format", field, f"expected {description or 'another number of values'}, not {size}"
        )


def _leaf(value: Any, kind: inspect.Type, field: Field, description: str) -> Iterator[Complaint]:
    text_allowed = isinstance(kind, inspect.CustomType) and kind.cls is Text
    if isinstance(value, str) and not text_allowed and CONTROL.search(value):
        yield Complaint(
            "value.control", field, "a newline or control character in a value", "write one plain line"
        )
    elif isinstance(kind, inspect.LiteralType):
        yield from _choice(value, kind, field)
    elif isinstance(kind, inspect.CustomType):
        yield from _custom(value, kind.cls, field)
    elif isinstance(kind, inspect.StrType) and not isinstance(value, str):
        hint = "" if isinstance(value, dict | list) or value is None else f'put it in quotes: "{value}"'
        yield Complaint("value.type", field, f"expected {description or 'text'}, not {shown(value)}", hint)
    elif not _converts(value, kind):
        wanted = description or _PLAIN_NAMES.get(type(kind), "another value")
        code = "value.format" if isinstance(value, str | int | float) else "value.type"
        yield Complaint(code, field, f"expected {wanted}, not {shown(value)}")


_PLAIN_NAMES: dict[type, str] = {
    inspect.BoolType: "true or false",
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.DateType: "a date such as 2025-07-01",
    inspect.DateTimeType: "a time such as 2025-11-20T02:00:00Z",
    inspect.NoneType: "nothing",
}


def _choice(value: Any, kind: inspect.LiteralType, field: Field) -> Iterator[Complaint]:
    if any(value == item and type(value) is type(item) for item in kind.values):
        return
    names = [str(item) for item in kind.values]
    yield Complaint(
        "value.choice", field, f"expected one of {', '.join(names)}, not {shown(value)}", _near(value, names)
    )


def _near(value: Any, names: list[str]) -> str:
    near = difflib.get_close_matches(str(value), names, 1, 0.6)
    return f"did you mean '{near[0]}'?" if near else ""


def _custom(value: Any, cls: type[Any], field: Field) -> Iterator[Complaint]:
    try:
        cls.parse(value)
    except ValueError as error:
        yield Complaint("value.secret" if cls is Secret else "value.format", field, str(error))


def _converts(value: Any, kind: inspect.Type) -> bool:
    try:
        msgspec.convert(value, _annotation(kind))
    except (msgspec.ValidationError, OverflowError):
        return False
    return True


_BASES: dict[type, Any] = {
    inspect.StrType: str,
    inspect.IntType: int,
    inspect.FloatType: float,
    inspect.BoolType: bool,
    inspect.NoneType: None,
    inspect.DateType: datetime.date,
    inspect.DateTimeType: datetime.datetime,
}


def _annotation(kind: inspect.Type) -> Any:
    names = kind.__struct_fields__
    limits = {name: getattr(kind, name) for name in names if getattr(kind, name) is not None}
    base = _BASES[type(kind)]
    return Annotated[base, msgspec.Meta(**limits)] if limits else base


def _prune(value: Any, kind: inspect.Type) -> Any:
    kind, _ = _unwrap(kind)
    if isinstance(kind, inspect.UnionType):
        return _prune_union(value, kind)
    if isinstance(kind, inspect.StructType) and isinstance(value, dict):
        known = {item.encode_name: item.type for item in kind.fields}
        kept = {key: _prune(child, known[key]) for key, child in value.items() if key in known}
        if kind.tag_field and kind.tag_field in value:
            kept[kind.tag_field] = value[kind.tag_field]
        return kept
    if isinstance(kind, inspect.DictType) and isinstance(value, dict):
        return {key: _prune(child, kind.value_type) for key, child in value.items()}
    if isinstance(kind, inspect.VarTupleType | inspect.ListType) and isinstance(value, list):
        return [_prune(child, kind.item_type) for child in value]
    return value


def _prune_union(value: Any, union: inspect.UnionType) -> Any:
    for member in union.types:
        unwrapped, _ = _unwrap(member)
        if isinstance(unwrapped, inspect.StructType) and isinstance(value, dict):
            if unwrapped.tag_field is None or value.get(unwrapped.tag_field) == unwrapped.tag:
                return _prune(value, unwrapped)
        elif isinstance(unwrapped, inspect.VarTupleType) and isinstance(value, list):
            return _prune(value, unwrapped)
    return value
