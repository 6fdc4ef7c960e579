"""Typed scalars of the intents: text in YAML, ready-made values in memory.

Every class has `parse(value)`, which raises ValueError with a sentence for the operator, and `text`, its
canonical spelling in a file. Rates are decimal bit/s and volumes decimal bytes; both are ints.
"""

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Self

from msgspec import Meta

from intents.addresses import (
    Address,
    Address4,
    Address6,
    Interface4,
    Interface6,
    Mac,
    Prefix,
    Prefix6,
)
from intents.scalar import Scalar

_VLAN_MAX = 4094
_MAX_DIGITS = 18


class _Scaled(Scalar, int):
    __slots__ = ()
    units: ClassVar[dict[str, int]] = {}

    @classmethod
    def parse(cls, value: object) -> Self:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise cls.wrong(value)
        found = re.fullmatch(r"([0-9]{1,18})(?:\.([0-9]{1,6}))?([A-Za-z]*)", str(value))
        if found is None or (found[3] not in cls.units and found[3] != ""):
            raise cls.wrong(value)
        factor = cls.units.get(found[3], 1)
        whole, fraction = int(found[1]), found[2] or ""
        scaled, rest = divmod(int(fraction or "0") * factor, 10 ** len(fraction))
        if rest:
            raise cls.wrong(value)
        return cls(whole * factor + scaled)

    @property
    def text(self) -> str | int:
        number = int(self)
        for unit, factor in sorted(self.units.items(), key=lambda item: -item[1]):
            if number and number % factor == 0 and factor > 1:
                return f"{number // factor}{unit}"
        return number


class Rate(_Scaled):
    """Bits per second, from the subscriber's point of view: `500M`, `1G`, `2.5G`, `64k`."""

    __slots__ = ()
    expects = "a rate in bit/s such as 500M, 2.5G or 64k"
    units = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


class Volume(_Scaled):
    """Bytes, decimal: `2T`, `500G`."""

    __slots__ = ()
    expects = "a volume in bytes such as 500G or 2T"
    units = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


class Duration(_Scaled):
    """Seconds: `120s`, `5m`, `12h`, `30d`."""

    __slots__ = ()
    expects = "a duration such as 120s, 5m, 12h or 30d"
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}

    @property
    def text(self) -> str | int:
        written = super().text
        return written if isinstance(written, str) else f"{written}s"


class TimeOfDay(Scalar, int):
    """Minutes after midnight: `06:00` is 360; `24:00` is the end of the day."""

    __slots__ = ()
    expects = 'a time of day such as "06:00"'

    @classmethod
    def parse(cls, value: object) -> Self:
        found = re.fullmatch(r"([0-2][0-9]):([0-5][0-9])", value) if isinstance(value, str) else None
        if found is None or int(found[1]) * 60 + int(found[2]) > 24 * 60:
            raise cls.wrong(value)
        return cls(int(found[1]) * 60 + int(found[2]))

    @property
    def text(self) -> str:
        return f"{self // 60:02d}:{self % 60:02d}"


class Window(Scalar, str):
    """A span of the day in site time, `02:00-05:00`; it may pass midnight."""

    __slots__ = ()
    expects = 'a span of the day such as "02:00-05:00"'

    @classmethod
    def parse(cls, value: object) -> Self:
        try:
            start, end = str(value).split("-") if isinstance(value, str) else ("", "")
            if TimeOfDay.parse(start) == TimeOfDay.parse(end):
                raise cls.wrong(value)
        except ValueError:
            raise cls.wrong(value) from None
        return cls(value)

    @property
    def start(self) -> TimeOfDay:
        """When it opens, minutes after midnight."""
        return TimeOfDay.parse(self.split("-")[0])

    @property
    def end(self) -> TimeOfDay:
        """When it closes, minutes after midnight; smaller than `start` when it passes midnight."""
        return TimeOfDay.parse(self.split("-")[1])

    @property
    def text(self) -> str:
        return str(self)


class VlanSet(Scalar, tuple[tuple[int, int], ...]):
    """VLAN ids as sorted, merged (low, high) pairs: `101`, `100-199` or a list of both (IEEE 802.1Q, 1-4094)."""

    __slots__ = ()
    expects = "VLANs such as 101, 100-199 or [100-199, 2100-2199] (1 to 4094)"

    @classmethod
    def parse(cls, value: object) -> Self:
        items = value if isinstance(value, list | tuple) else [value]
        if not items:
            raise cls.wrong(value)
        merged: list[tuple[int, int]] = []
        for low, high in sorted(cls._pair(item) for item in items):
            if merged and low <= merged[-1][1]:
                raise ValueError(f"VLAN {low} is in the list twice")
            merged.append((low, high))
        return cls(merged)

    @classmethod
    def _pair(cls, item: object) -> tuple[int, int]:
        if isinstance(item, tuple | list) and len(item) == 2:
            item = f"{item[0]}-{item[1]}"
        found = (
            re.fullmatch(r"([0-9]{1,4})(?:-([0-9]{1,4}))?", str(item)) if not isinstance(item, bool) else None
        )
        if found is None:
            raise cls.wrong(item)
        low, high = int(found[1]), int(found[2] or found[1])
        if not 1 <= low <= high <= _VLAN_MAX:
            raise cls.wrong(item)
        return low, high

    def covers(self, vlan: int) -> bool:
        """Whether the VLAN id is one of them."""
        return any(low <= vlan <= high for low, high in self)

    def ids(self) -> Iterator[int]:
        """Every VLAN id, in order."""
        for low, high in self:
            yield from range(low, high + 1)

    @property
    def text(self) -> str | int | list[str | int]:
        parts: list[str | int] = [low if low == high else f"{low}-{high}" for low, high in self]
        return parts[0] if len(parts) == 1 else parts


class Serial(Scalar, str):
    """A PON serial number: four letters of the maker and eight hex digits, upper case (ITU-T G.984.3)."""

    __slots__ = ()
    expects = "a PON serial number such as HWTC1A2B3C4D"

    @classmethod
    def parse(cls, value: object) -> Self:
        if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9]{4}[0-9A-Fa-f]{8}", value):
            raise cls.wrong(value)
        return cls(value.upper())

    @property
    def text(self) -> str:
        return str(self)


class Secret(Scalar, str):
    """Ciphertext, `enc:v1:…`. A secret in clear is an error and never appears in a message."""

    __slots__ = ()
    expects = "a sealed secret (enc:v1:…); seal it with `trunkline secret`"

    @classmethod
    def parse(cls, value: object) -> Self:
        if not isinstance(value, str) or not re.fullmatch(r"enc:v[0-9]+:[!-~…]+", value):
            raise cls.wrong(value)
        return cls(value)

    @classmethod
    def wrong(cls, value: object) -> ValueError:  # noqa: ARG003 - a secret never appears in a message
        return ValueError(f"expected {cls.expects}")

    def __repr__(self) -> str:
        return "Secret(…)"

    @property
    def text(self) -> str:
        return str(self)


class Amount(Scalar, str):
    """An amount of money as decimal text, `79.00`, of the operator's currency where none is said."""

    __slots__ = ()
    expects = 'an amount in quotes such as "79.00"'

    @classmethod
    def parse(cls, value: object) -> Self:
        if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,12}(\.[0-9]{1,4})?", value):
            raise cls.wrong(value)
        return cls(value)

    @property
    def text(self) -> str:
        return str(self)


class Text(Scalar, str):
    """Text that may have several lines; it never reaches a device's configuration as it stands."""

    __slots__ = ()
    expects = "text"

    @classmethod
    def parse(cls, value: object) -> Self:
        if not isinstance(value, str):
            raise cls.wrong(value)
        return cls(value)

    @property
    def text(self) -> str:
        return str(self)


ID_PATTERN = r"^[A-Za-z0-9-]{1,63}$"
Id = Annotated[str, Meta(pattern=ID_PATTERN, description="an id: letters, digits and hyphens, at most 63")]
Word = Annotated[
    str, Meta(pattern=r"^\S{1,128}$", description="a word without blanks, at most 128 characters")
]
Line = Annotated[
    str, Meta(min_length=1, max_length=255, description="one line of text, at most 255 characters")
]
Platform = Annotated[
    str, Meta(pattern=r"^[a-z][a-z0-9_]{0,62}$", description="a platform: the name of its folder")
]
Asn = Annotated[int, Meta(ge=1, le=4294967294, description="an AS number (RFC 6793)")]
Vlan = Annotated[int, Meta(ge=1, le=_VLAN_MAX, description="a VLAN id, 1 to 4094 (IEEE 802.1Q)")]
Port = Annotated[int, Meta(ge=1, le=65535, description="a TCP or UDP port")]
Mtu = Annotated[int, Meta(ge=576, le=65535, description="an MTU in bytes")]
Percent = Annotated[float, Meta(ge=0, le=100, description="a share, 0 to 100")]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$", description="an ISO 4217 code such as AUD")]
Count = Annotated[int, Meta(ge=0, le=10**9, description="a count")]

__all__ = [
    "ID_PATTERN", "Address", "Address4", "Address6", "Amount", "Asn", "Count", "Currency", "Duration", "Id",
    "Interface4", "Interface6", "Line", "Mac", "Mtu", "Percent", "Platform", "Port", "Prefix", "Prefix6",
    "Rate", "Scalar", "Secret", "Serial", "Text", "TimeOfDay", "Vlan", "VlanSet", "Volume", "Window", "Word",
]  # fmt: skip
