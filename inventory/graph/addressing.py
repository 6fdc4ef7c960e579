"""Addresses of a planned network, counted out of fixed ranges: the same graph always gets the same addresses.

IPv4 is private space (RFC 1918), IPv6 documentation space (RFC 3849): enough for 10,000 routers and 100,000 links,
and never somebody else's by accident. Links are /31 (RFC 3021) and /127 (RFC 6164), each /127 in a /64 of its own.
"""

import ipaddress

from intents.scalars import Address, Interface4, Interface6

LOOPBACKS4 = ipaddress.IPv4Network("10.0.0.0/16")
LINKS4 = ipaddress.IPv4Network("10.64.0.0/12")
MANAGEMENT = ipaddress.IPv4Network("10.255.0.0/16")
LOOPBACKS6 = ipaddress.IPv6Network("2001:db8:ffff::/64")
LINKS6 = ipaddress.IPv6Network("2001:db8:fe00::/40")


def loopback(number: int) -> tuple[Interface4, Interface6]:
    """The loopbacks of router `number` (from 1)."""
    return Interface4(f"{LOOPBACKS4[number]}/32"), Interface6(f"{LOOPBACKS6[number]}/128")


def management(number: int) -> Address:
    """The management address of router `number` (from 1)."""
    return Address(str(MANAGEMENT[number]))


def link(number: int) -> tuple[tuple[Interface4, Interface6], tuple[Interface4, Interface6]]:
    """Both ends of link `number` (from 0)."""
    four, six = LINKS4[2 * number], LINKS6.network_address + (number << 64)
    low = Interface4(f"{four}/31"), Interface6(f"{six}/127")
    return low, (Interface4(f"{four + 1}/31"), Interface6(f"{six + 1}/127"))
