"""The structured creditor reference (ISO 11649): what a bank transfer names so that we know what it pays."""

_LETTERS = {chr(65 + place): str(10 + place) for place in range(26)}
_LONGEST = 21


def creditor_reference(text: str) -> str:
    """`RF` + two check digits + the letters and digits of `text`, at most the last 21 of them.

    `creditor_reference("INV-000042")` is `RF51INV000042`. Raises ValueError where nothing is left.
    """
    plain = "".join(char for char in text.upper() if char.isascii() and char.isalnum())[-_LONGEST:]
    if not plain:
        raise ValueError(f"'{text}' has neither letter nor digit")
    check = 98 - _number(plain + "RF00") % 97
    return f"RF{check:02}{plain}"


def is_creditor_reference(text: str) -> bool:
    """Whether the check digits are right (blanks do not matter)."""
    plain = "".join(text.upper().split())
    usable = (
        plain.startswith("RF") and 5 <= len(plain) <= _LONGEST + 4 and plain.isascii() and plain.isalnum()
    )
    return usable and plain[2:4].isdecimal() and _number(plain[4:] + plain[:4]) % 97 == 1


def _number(text: str) -> int:
    """The text as a number, A = 10 to Z = 35."""
    return int("".join(_LETTERS.get(char, char) for char in text))
