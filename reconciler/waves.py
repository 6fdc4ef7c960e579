"""Waves: which devices go first. Never two of one pair in a wave."""

from collections.abc import Mapping, Sequence


def assign(
    devices: Sequence[str], pairs: Mapping[str, str], canary: int, steps: Sequence[int]
) -> dict[str, int]:
    """Device -> wave number from 0: `canary` devices first, then growing percentages of all.

    `pairs` names the pair or ring of a device; a second member of one goes to the next wave.
    """
    sizes = [max(1, canary), *(max(1, len(devices) * step // 100) for step in steps)]
    waves: dict[str, int] = {}
    occupied: dict[int, set[str]] = {}
    filled: dict[int, int] = {}
    for device in sorted(devices):
        wave = _first_fit(pairs.get(device, ""), sizes, occupied, filled)
        waves[device] = wave
        filled[wave] = filled.get(wave, 0) + 1
        if device in pairs:
            occupied.setdefault(wave, set()).add(pairs[device])
    return waves


def _first_fit(
    pair: str, sizes: Sequence[int], occupied: Mapping[int, set[str]], filled: Mapping[int, int]
) -> int:
    wave = 0
    while pair in occupied.get(wave, ()) or filled.get(wave, 0) >= (
        sizes[wave] if wave < len(sizes) else sizes[-1]
    ):
        wave += 1
    return wave
