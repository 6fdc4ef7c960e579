"""Records of pools whose addresses nodes give (`p:` and the pool's id). Pure."""

from typing import Any

import msgspec

from aaa.view.records import ViewRecord
from intents.reader import Reader

_REST, _INTERIM = 600, 300
_LENGTH = {"ipv4": 32, "wan6": 64}


class PoolRecord(msgspec.Struct, frozen=True, array_like=True):
    """Behind `p:`. `length` is that of what one subscriber gets; `rest` (seconds) how long a freed address stays away
    from others; `patience` how long a session may be silent before it counts as over: three of its NASes' interims.
    """

    family: str
    prefixes: tuple[str, ...]
    length: int
    gateway: str
    rest: int
    patience: int


def pool_key(pool: str) -> bytes:
    """Key of a pool."""
    return b"p:" + pool.encode()


def compile_pool(reader: Reader, pool_id: str) -> list[ViewRecord]:
    """The record of a pool with `allocate: node`; none for any other."""
    pool = reader.get("pool", pool_id)
    if pool is None or pool.allocate != "node":
        return []
    config = reader.get("config", "trunkline")
    parts = [prefix for device in sorted(pool.split) for prefix in pool.split[device]]
    record = PoolRecord(
        family=pool.family,
        prefixes=tuple(str(prefix) for prefix in pool.prefixes or parts),
        length=32 if pool.family == "ipv4" else pool.length or _LENGTH.get(pool.family, 64),
        gateway=str(pool.gateway or ""),
        rest=int(config.quarantine.lease) if config is not None else _REST,
        patience=3 * max([_INTERIM, *_interims(reader, pool_id)]),
    )
    return [ViewRecord(pool_key(pool_id), f"pool:{pool_id}", msgspec.msgpack.encode(record))]


def _interims(reader: Reader, pool_id: str) -> list[int]:
    """Of every BNG that serves the pool's edges."""
    edges = [reader.get("edge", one) for _kind, one in reader.referrers("pool", pool_id, "edge")]
    devices = [reader.get("device", bng.device) for edge in edges if edge for bng in edge.bngs]
    return [int(device.nas.interim) for device in devices if device is not None and device.nas is not None]


def pools_named_by(edge: Any) -> set[str]:
    """Every pool of an edge."""
    named = edge.pools
    return {one for one in (named.cgnat, named.public, named.pd, named.wan6, named.garden) if one}
