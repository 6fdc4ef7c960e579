"""Where things lie on the map: sites by their coordinates, pushed apart and labelled so that all can be read. Pure."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

WIDTH, HEIGHT = 760.0, 560.0
_EDGE = 46.0
_APART = 30.0
_ROUNDS = 80
_CHARACTER, _LINE = 6.6, 13.0
_MOST = 250
"""Above so many places nothing is pushed or labelled: it would be slow and unreadable."""


class Place(NamedTuple):
    """A thing with coordinates in degrees; None: nobody knows where it is."""

    id: str
    label: str
    lat: float | None = None
    lon: float | None = None


class Spot(NamedTuple):
    """Where a place is drawn, and its label: `anchor` start, end or middle; no label where there is no room."""

    x: float
    y: float
    label: str
    label_x: float
    label_y: float
    anchor: str


@lru_cache(maxsize=8)
def lay_out(places: tuple[Place, ...]) -> dict[str, Spot]:
    """Place id -> spot, the same for the same places."""
    points = _points(places)
    if len(places) <= _MOST:
        points = _push_apart(points)
    return _label(places, points)


def _points(places: Sequence[Place]) -> list[tuple[float, float]]:
    known = [(one.lon, one.lat) for one in places if one.lat is not None and one.lon is not None]
    if len(set(known)) < 2:
        return _circle(len(places))
    lost = sum(one.lat is None or one.lon is None for one in places)
    project = _Projection(known, HEIGHT - (40 if lost else 0))
    points, row = [], 0
    for one in places:
        if one.lat is None or one.lon is None:
            row += 1
            points.append((_EDGE + (WIDTH - 2 * _EDGE) * row / (lost + 1), HEIGHT - 22))
        else:
            points.append(project(one.lon, one.lat))
    return points


class _Projection:
    """Equirectangular at the middle latitude, fitted into the picture with its proportions kept."""

    def __init__(self, known: Sequence[tuple[float, float]], height: float) -> None:
        self._shrink = math.cos(math.radians(sum(lat for _, lat in known) / len(known)))
        xs, ys = [lon * self._shrink for lon, _ in known], [-lat for _, lat in known]
        across, down = (max(xs) - min(xs)) or 1e-6, (max(ys) - min(ys)) or 1e-6
        self._scale = min((WIDTH - 2 * _EDGE) / across, (height - 2 * _EDGE) / down)
        self._x = (WIDTH - across * self._scale) / 2 - min(xs) * self._scale
        self._y = (height - down * self._scale) / 2 - min(ys) * self._scale

    def __call__(self, lon: float, lat: float) -> tuple[float, float]:
        """Where a point of the earth is in the picture."""
        return lon * self._shrink * self._scale + self._x, -lat * self._scale + self._y


def _circle(count: int) -> list[tuple[float, float]]:
    """Around the middle, for places of which nobody knows where they are."""
    radius = 0.0 if count == 1 else min(WIDTH, HEIGHT) / 2 - 2 * _EDGE + 30
    turn = [2 * math.pi * index / max(count, 1) - math.pi / 2 for index in range(count)]
    return [(WIDTH / 2 + 1.6 * radius * math.cos(a), HEIGHT / 2 + radius * math.sin(a)) for a in turn]


def _push_apart(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    spots = [list(point) for point in points]
    for _ in range(_ROUNDS):
        if not sum(_push(spots, one, other) for one in range(len(spots)) for other in range(one)):
            break
    return [(_within(x, WIDTH), _within(y, HEIGHT)) for x, y in spots]


def _push(spots: list[list[float]], one: int, other: int) -> bool:
    across, down = spots[one][0] - spots[other][0], spots[one][1] - spots[other][1]
    distance = math.hypot(across, down)
    if distance >= _APART:
        return False
    if distance < 0.01:  # the same address: leave in a direction of one's own
        across, down, distance = math.cos(one), math.sin(one), 1.0
    step = (_APART - distance) / 2 / distance if distance > 1 else _APART / 2
    for index, sign in ((one, 1), (other, -1)):
        spots[index][0] += sign * across * step
        spots[index][1] += sign * down * step
    return True


def _within(value: float, size: float) -> float:
    return min(max(value, 16.0), size - 16.0)


Box = tuple[float, float, float, float]


def _label(places: Sequence[Place], points: Sequence[tuple[float, float]]) -> dict[str, Spot]:
    """Whoever has the fewest free sides chooses first."""
    taken: list[Box] = [(x - 12, y - 12, x + 12, y + 12) for x, y in points]
    pairs = list(zip(places, points, strict=True))
    found = {place.id: Spot(round(x, 1), round(y, 1), "", 0, 0, "start") for place, (x, y) in pairs}
    if len(places) > _MOST:
        return found
    pairs.sort(key=lambda pair: len(_free(pair[0].label, pair[1], taken)))
    for place, point in pairs:
        for label_x, label_y, anchor, box in _free(place.label, point, taken)[:1]:
            taken.append(box)
            bare = found[place.id]
            found[place.id] = bare._replace(
                label=place.label, label_x=round(label_x, 1), label_y=round(label_y, 1), anchor=anchor
            )
    return found


def _free(
    label: str, point: tuple[float, float], taken: Sequence[Box]
) -> list[tuple[float, float, str, Box]]:
    """The sides of the spot where the label covers nothing, the best first."""
    (x, y), wide, free = point, len(label) * _CHARACTER, []
    for label_x, label_y, anchor in (
        (x + 14, y + 4, "start"), (x - 14, y + 4, "end"), (x, y - 16, "middle"), (x, y + 24, "middle"),
        (x + 12, y - 13, "start"), (x - 12, y - 13, "end"), (x + 12, y + 21, "start"), (x - 12, y + 21, "end"),
    ):  # fmt: skip
        left = label_x - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
        box = (left, label_y - _LINE + 3, left + wide, label_y + 3)
        inside = box[0] >= 0 and box[2] <= WIDTH and box[1] >= 0 and box[3] <= HEIGHT
        if inside and not any(_overlap(box, other) for other in taken):
            free.append((label_x, label_y, anchor, box))
    return free


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
