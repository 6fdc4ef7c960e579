"""Addresses, prefixes and MACs as they stand in intents: checked and in canonical spelling, kept as text."""

import ipaddress
import re
from typing import Any, Self

from intents.scalar import Scalar


class _Ip(Scalar, str):
    __slots__ = ()

    @classmethod
    def _make(cls, text: str) -> Any:
        raise NotImplementedError

    @classmethod
    def parse(cls, value: object) -> Self:
        if not isinstance(value, str) or "%" in value:
            raise cls.wrong(value)
        try:
            return cls(str(cls._make(value)))
        except ValueError as error:
            if "has host bits set" in str(error):
                network = ipaddress.ip_network(value, strict=False)
                raise ValueError(
                    f"{value} has bits set after its prefix length; the network is {network}"
                ) from None
            raise cls.wrong(value) from None

    @property
    def text(self) -> str:
        return str(self)


def _with_length(text: str) -> str:
    if "/" not in text:
        raise ValueError("no prefix length")
    return text


class Address(_Ip):
    """An IPv4 or IPv6 address, in canonical spelling."""

    __slots__ = ()
    expects = "an IPv4 or IPv6 address"

    @classmethod
    def _make(cls, text: str) -> Any:
        return ipaddress.ip_address(text)


class Address4(Address):
    """An IPv4 address."""

    __slots__ = ()
    expects = "an IPv4 address"

    @classmethod
    def _make(cls, text: str) -> Any:
        return ipaddress.IPv4Address(text)


class Address6(Address):
    """An IPv6 address, in canonical spelling (RFC 5952)."""

    __slots__ = ()
    expects = "an IPv6 address"

    @classmethod
    def _make(cls, text: str) -> Any:
        return ipaddress.IPv6Address(text)


class Prefix(_Ip):
    """A network, `192.0.2.0/24` or `2001:db8::/32`, without host bits."""

    __slots__ = ()
    expects = "a prefix such as 192.0.2.0/24 or 2001:db8::/32"

    @classmethod
    def _make(cls, text: str) -> Any:
        return ipaddress.ip_network(_with_length(text))


class Prefix6(Prefix):
    """An IPv6 network without host bits."""

    __slots__ = ()
    expects = "an IPv6 prefix such as 2001:db8:4000::/40"

    @classmethod
    def _make(cls, text: str) -> Any:
        return ipaddress.IPv6Network(_with_length(text))


class Interface4(_Ip):
    """An IPv4 address on a port with its prefix length: `192.0.2.1/31`."""

    __slots__ = ()
    expects = "an IPv4 address with its length, such as 192.0.2.1/31"

    @classmethod
    def _make(cls, text: str) -> Any:
        return ipaddress.IPv4Interface(_with_length(text))


class Interface6(_Ip):
    """An IPv6 address on a port with its prefix length: `2001:db8::1/127`."""

    __slots__ = ()
    expects = "an IPv6 address with its length, such as 2001:db8::1/127"

    @classmethod
    def _make(cls, text: str) -> Any:
        return ipaddress.IPv6Interface(_with_length(text))


class Mac(Scalar, str):
    """A MAC address, lower case with colons; dots and dashes are accepted."""

    __slots__ = ()
    expects = 'a MAC address such as "02:00:5e:10:00:01"'

    @classmethod
    def parse(cls, value: object) -> Self:
        if not isinstance(value, str) or not re.fullmatch(
            r"(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}|(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}", value
        ):
            raise cls.wrong(value)
        digits = re.sub(r"[^0-9a-f]", "", value.lower())
        return cls(":".join(digits[i : i + 2] for i in range(0, 12, 2)))

    @property
    def text(self) -> str:
        return str(self)
