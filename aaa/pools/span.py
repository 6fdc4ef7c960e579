"""Arithmetic of blocks: which addresses or prefixes a block of a pool's prefix holds. Pure."""

import ipaddress
from collections.abc import Iterator
from typing import NamedTuple

_SMALLEST, _LARGEST = 4, 256
_SHARES = 16


class Span(NamedTuple):
    """Block `number` of a pool's `prefix`: `size` things of `length` bits each (32: single IPv4 addresses)."""

    pool: str
    prefix: str
    number: int
    size: int
    length: int

    @property
    def network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        """What the whole block covers."""
        whole = ipaddress.ip_network(self.prefix)
        step = whole.max_prefixlen - self.length
        low = int(whole.network_address) + (self.number * self.size << step)
        return type(whole)((low, self.length - (self.size - 1).bit_length()))

    def values(self, gateway: str = "") -> Iterator[str]:
        """Every address or prefix of the block as accounting spells it; not the network's own, broadcast, gateway."""
        whole = ipaddress.ip_network(self.prefix)
        four = isinstance(whole, ipaddress.IPv4Network)
        never = {gateway}
        if four and whole.prefixlen < 31:
            never |= {str(whole.network_address), str(whole.broadcast_address)}
        step = whole.max_prefixlen - self.length
        low = int(whole.network_address) + (self.number * self.size << step)
        for index in range(self.size):
            at = low + (index << step)
            text = str(ipaddress.IPv4Address(at)) if four else f"{ipaddress.IPv6Address(at)}/{self.length}"
            if text not in never:
                yield text


def count(prefix: str, length: int) -> int:
    """How many things of `length` a prefix holds; 0 when they do not fit."""
    return 1 << length - have if (have := ipaddress.ip_network(prefix).prefixlen) <= length else 0


def block_size(prefix: str, length: int, workers: int) -> int:
    """Things a block: a power of two, so that every worker can have several. The choice for a prefix is kept."""
    whole = count(prefix, length)
    share = max(1, whole // (_SHARES * max(1, workers)))
    return min(whole, max(_SMALLEST, min(_LARGEST, 1 << share.bit_length() - 1)))
