"""A document's value as compact bytes and back: typed scalars go as the plain value that they are."""

import functools
from typing import Any

import msgspec

from intents.kinds import KINDS
from intents.scalar import Scalar


def encode(value: Any) -> bytes:
    """msgpack of a structure."""
    return _ENCODER.encode(value)


def decode(kind: str, body: bytes) -> Any:
    """The structure of a kind from its bytes."""
    return _decoder(kind).decode(body)


def _plain(value: Any) -> Any:
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, tuple):
        return tuple(value)
    raise TypeError(f"{type(value).__name__} has no place in a document")


def _typed(type_: Any, plain: Any) -> Any:
    if issubclass(type_, Scalar) and issubclass(type_, tuple):
        return type_(tuple(tuple(item) if isinstance(item, list) else item for item in plain))
    return type_(plain)


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_plain)


@functools.cache
def _decoder(kind: str) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(KINDS[kind].struct, dec_hook=_typed)
