"""What may stand in a line of the virtual device: any printable text, and nothing that ends the line."""

import re

_ENDS_A_LINE = r"[\x00-\x1f\x7f-\x9f\u2028\u2029]"


def text(value: object) -> str:
    """Free text at the end of a line, at most 255 characters. Raises ValueError."""
    plain = str(value).strip()
    if re.search(_ENDS_A_LINE, plain):
        raise ValueError(f"{plain!r} has control characters")
    if not 1 <= len(plain) <= 255:
        raise ValueError(f"{plain[:40]!r} has {len(plain)} characters; 1 to 255 fit")
    return plain


def secret(value: str) -> str:
    """A secret, which must be left exactly as it is. Raises ValueError without showing it."""
    if re.search(_ENDS_A_LINE, value) or value != value.strip() or not 1 <= len(value) <= 255:
        raise ValueError("a secret must be 1 to 255 printable characters without blanks at its ends")
    return value


def word(value: object) -> str:
    """A name, port, address or number. Raises ValueError."""
    plain = str(value)
    if not re.fullmatch(r"[\w.:/+@-]{1,127}", plain, re.ASCII):
        raise ValueError(f"{plain!r} is not one word of letters, digits and .:/+@-_")
    return plain


def span(vlans: tuple[int, int]) -> str:
    """A range of VLANs: 100-199, or 101 alone."""
    low, high = vlans
    return str(low) if low == high else f"{low}-{high}"


def number(value: float) -> str:
    """A number with at most three decimals and none that say nothing."""
    return f"{value:.3f}".rstrip("0").rstrip(".")
