"""From a structure to canonical YAML: the inverse of `loader.load`. Defaults are left out, fields keep their order."""

import datetime
import functools
from typing import Any

import msgspec
import yaml

from intents import kinds
from intents.scalar import Scalar
from intents.yaml_strict import plain


def to_mapping(value: Any) -> Any:
    """Plain values with the keys of a file; scalars in their spelling (`500M`)."""
    if isinstance(value, Scalar):
        return value.text
    if isinstance(value, msgspec.Struct):
        return _struct(value)
    if isinstance(value, dict):
        return {str(key): to_mapping(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_mapping(item) for item in value]
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, datetime.date) else value


def _struct(value: msgspec.Struct) -> dict[str, Any]:
    config = value.__struct_config__
    result: dict[str, Any] = {config.tag_field: config.tag} if config.tag_field else {}
    for field in _fields(type(value)):
        item = getattr(value, field.name)
        if field.required or item != _default(field):
            result[field.encode_name] = to_mapping(item)
    return result


@functools.cache
def _fields(struct: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(struct)  # reads annotations anew at each call


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


class _Dumper(yaml.CSafeDumper):
    """Quotes whatever is not text in YAML 1.2; PyYAML itself quotes what is not text in YAML 1.1."""


def _text(dumper: Any, value: str) -> Any:
    style = '"' if not isinstance(plain(value), str) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def to_yaml(kind: str, value: Any) -> bytes:
    """The file of a document, UTF-8 with a final newline. Raises KeyError for an unknown kind."""
    known = kinds.KINDS[kind]
    if known.write is not None:
        return known.write(value).encode()
    text = yaml.dump(
        to_mapping(value),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=4096,
    )
    return str(text).encode()


def encode_value(value: Any) -> bytes:
    """A structure as msgpack, for caches; `loader.decode_value` reads it."""
    return msgspec.msgpack.encode(to_mapping(value))
