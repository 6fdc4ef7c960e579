"""How fast a link is, from whatever the makers of a graph wrote down."""

import re
from typing import Any

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_RATE = re.compile(
    r"([0-9]+(?:[.,][0-9]+)?)\s*([KMGT])(?:\s*(?:b(?:it)?s?(?:/s|ps)?|i?g?e|b/sec)?)?(?![a-z])", re.IGNORECASE
)
_BARE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*")
_OC = re.compile(r"\bOC-?\s*([0-9]{1,4})c?\b", re.IGNORECASE)
_STM = re.compile(r"\bSTM-?\s*([0-9]{1,4})\b", re.IGNORECASE)
# ITU-T G.702, G.703; IEEE 802.3.
_NAMES = (
    (r"\b(?:gig(?:abit)?[- ]?e(?:thernet)?|gbe|ge)\b", 10**9),
    (r"\bfast[- ]?ethernet\b", 10**8),
    (r"\b(?:e3)\b", 34_368_000),
    (r"\b(?:ds-?3|t3)\b", 44_736_000),
    (r"\b(?:e1)\b", 2_048_000),
    (r"\b(?:ds-?1|t1)\b", 1_544_000),
    (r"\bethernet\b", 10**7),
)
_MOST = 10**15
_LABELS = ("linklabel", "label", "linktype", "type", "capacity", "bandwidth", "speed", "linknote")


def capacity_of(attributes: dict[str, Any]) -> int | None:
    """Bit/s of an edge; None where nothing says. A range (`1-2.5 Gb/s`, `< 10 Gbps`) counts with its upper end."""
    found = _raw(attributes.get("linkspeedraw")) or _with_units(attributes)
    if found is None:
        texts = (str(attributes[key]) for key in _LABELS if key in attributes)
        found = next((rate for text in texts if (rate := _spoken(text)) is not None), None)
    return found if found is not None and 0 < found <= _MOST else None


def _raw(value: Any) -> int | None:
    try:
        rate = float(value)
        return int(rate) if 0 < rate <= _MOST else None
    except (TypeError, ValueError, OverflowError):
        return None


def _with_units(attributes: dict[str, Any]) -> int | None:
    number = _BARE.fullmatch(str(attributes.get("linkspeed", "")))
    unit = str(attributes.get("linkspeedunits", "")).strip().upper()[:1]
    if number is None or not unit or unit not in _UNITS:
        return None
    return _raw(float(number[1]) * _UNITS[unit])


def _spoken(text: str) -> int | None:
    rates = [float(n.replace(",", ".")) * _UNITS[unit.upper()] for n, unit in _RATE.findall(text[:200])]
    rates += [int(n) * 51_840_000 for n in _OC.findall(text)]  # SONET, ANSI T1.105
    rates += [int(n) * 155_520_000 for n in _STM.findall(text)]  # SDH, ITU-T G.707
    if rates:
        return _raw(max(rates))
    return next((rate for name, rate in _NAMES if re.search(name, text, re.IGNORECASE)), None)


def metric_of(capacity: int | None) -> int:
    """An OSPF cost against a reference of 100 Gbit/s, 1 to 65535; a link of unknown capacity costs 10."""
    return 10 if capacity is None else max(1, min(65535, round(10**11 / capacity)))
