"""The base of typed scalars, and how a value is shown in a sentence."""

from typing import ClassVar, Self


class Scalar:
    """A value with its own spelling. Subclasses are also an int, a str or a tuple."""

    __slots__ = ()
    expects: ClassVar[str] = "a value"

    @classmethod
    def parse(cls, value: object) -> Self:
        """The value of what stands in the file. Raises ValueError."""
        raise NotImplementedError

    @property
    def text(self) -> str | int | list[str | int]:
        """What `dump` writes; `parse(text)` gives an equal value."""
        raise NotImplementedError

    @classmethod
    def wrong(cls, value: object) -> ValueError:
        """The error for a value that is not one of us."""
        return ValueError(f"expected {cls.expects}, not {shown(value)}")


def shown(value: object) -> str:
    """A value as it may appear in a sentence: short, printable."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = ascii(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
