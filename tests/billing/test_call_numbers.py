"""How telephone numbers are read, with and without the country where they were dialled."""

import pytest

from billing.calls import numbers
from billing.calls.errors import NumberNotUsable


@pytest.mark.parametrize(
    ("text", "country", "digits"),
    [
        ("+61 8 5550-1234", "", "61855501234"), ("0061 8 5550 1234", "", "61855501234"),
        ("(08) 5550 1234", "61", "61855501234"), ("61855501234", "61", "61855501234"),
    ],
)  # fmt: skip
def test_numbers_become_e164(text: str, country: str, digits: str) -> None:
    """However they are written."""
    assert numbers.e164(text, country) == digits


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("0011977123456", "61", "977123456"), ("001197714123456", "61", "97714123456"),
        ("00977123456", "61", "977123456"), ("+1 212 555 0100", "61", "12125550100"), ("000", "61", "n000"),
        ("1300123456", "61", "n1300123456"), ("131126", "61", "n131126"), ("01197712345678", "61", "n01197712345678"),
        ("0855501234", "61", "61855501234"),
        ("61855501234", "61", "61855501234"), ("611300123456", "61", "611300123456"), ("61131126", "61", "n61131126"),
        ("12125550100", "61", "n12125550100"), ("011977123456", "1", "977123456"), ("911", "1", "n911"),
        ("16502530000", "1", "16502530000"), ("4155550100", "1", "14155550100"), ("1300123456", "1", "n1300123456"),
        ("493012345678", "49", "493012345678"), ("110", "49", "n110"), ("977123456", "", "977123456"),
    ],
)  # fmt: skip
def test_a_number_is_read_as_it_is_dialled_in_its_country(text: str, country: str, number: str) -> None:
    """Service and local numbers are nobody's abroad: `n` keeps them from every deck."""
    assert numbers.dialled(text, country) == number


def test_the_international_prefix_may_be_another() -> None:
    """In place of those that are known; a number that is none after it is told."""
    assert numbers.dialled("010977123456", "81", ("010",)) == "977123456"
    assert numbers.dialled("00977123456", "81", ("010",)) == "n00977123456"
    with pytest.raises(NumberNotUsable):
        numbers.dialled("00110977123456", "61")


@pytest.mark.parametrize("text", ["", "anonymous", "+0123", "1" * 16, "0855501234"])
def test_what_is_no_number_is_told(text: str) -> None:
    """In one sentence."""
    with pytest.raises(NumberNotUsable, match="is no telephone number"):
        numbers.e164(text)
