"""network/pools/<id>.yaml: addresses that subscribers get."""

from typing import Annotated, Literal

from msgspec import Meta

from intents.scalars import Address, Count, Id, Prefix
from intents.structs import Intent


class Nat(Intent, frozen=True, kw_only=True):
    """Carrier-grade NAT: public addresses and ports per subscriber."""

    public: tuple[Prefix, ...]
    ports: Count = 1024
    mode: Literal["deterministic", "dynamic"] = "deterministic"


class Pool(Intent, frozen=True, kw_only=True):
    """A pool. `split` gives each BNG its part; `length` is that of a delegated prefix."""

    family: Literal["ipv4", "wan6", "pd"]
    use: Literal["public", "cgnat", "garden", "infrastructure"]
    allocate: Literal["nas", "node", "intent"] = "nas"
    prefixes: tuple[Prefix, ...] = ()
    split: dict[Id, tuple[Prefix, ...]] = {}
    length: Annotated[int, Meta(ge=32, le=128, description="a prefix length, 32 to 128")] | None = None
    gateway: Address | None = None
    nat: Nat | None = None
