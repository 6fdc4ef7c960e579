"""Usage in words: quantities, and why a line is what it is. Pure."""

from fractions import Fraction

from billing.rating.rules import Rule, Step, steps
from core.money import Money, digits

_WHAT = {
    "bytes": "data",
    "down": "download",
    "up": "upload",
    "seconds": "time online",
    "sessions": "sessions",
    "calls": "calls",
}


def what(meter: str) -> str:
    """A meter's name on a bill."""
    return _WHAT[meter]


def amount_of(meter: str, quantity: int) -> str:
    """`312.5 GB`, `12 h 30 min`, `17`."""
    if meter == "sessions":
        return str(quantity)
    if meter in ("seconds", "calls"):
        hours, rest = divmod(quantity, 3600)
        parts = [(hours, "h"), (rest // 60, "min"), (rest % 60, "s")]
        return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 min"
    for size, unit in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if quantity >= size:
            return f"{_decimal(Fraction(quantity, size), 3)} {unit}"
    return f"{quantity} B"


def why(rule: Rule, used: int, free: int, over: int, currency: str) -> dict[str, str]:
    """What an invoice says about it."""
    told = {"used": amount_of(rule.meter, used)}
    if free or rule.included:
        told["included"] = amount_of(rule.meter, free)
    if over:
        per = amount_of(rule.meter, rule.per)
        told["beyond"] = amount_of(rule.meter, over)
        told["price"] = " + ".join(_step(step, per, currency) for step in steps(rule, over))
        exact = sum((step.cost for step in steps(rule, over)), Fraction(0))
        if rule.cap is not None and exact > rule.cap:
            told["at most"] = str(Money(rule.cap, currency))
        elif exact.denominator != 1:
            told["rounded"] = "half-up, once"
    return told


def _step(step: Step, per: str, currency: str) -> str:
    scale = 10 ** digits(currency)
    return f"{_decimal(step.units, 4)} x {currency} {_decimal(step.price / scale, 6)} per {per}"


def _decimal(value: Fraction, digits: int) -> str:
    """At most so many decimals, none that say nothing."""
    text = f"{float(value):.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
