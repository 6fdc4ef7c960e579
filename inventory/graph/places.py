"""Coordinates: those in the file, and for nodes without any a place between their neighbours."""

import math
from typing import Any

Place = tuple[float, float]
"""Latitude, longitude."""

_LAT = ("latitude", "lat")
_LON = ("longitude", "lon", "long", "lng")


def place_of(attributes: dict[str, Any]) -> Place | None:
    """A node's coordinates, when both are numbers of this world (numbers may be text)."""
    lat, lon = _number(attributes, _LAT), _number(attributes, _LON)
    if lat is None or lon is None or not (-90 <= lat <= 90 and -180 <= lon <= 180):
        return None
    return lat, lon


def has_any(attributes: dict[str, Any]) -> bool:
    """Whether the file tried to say where the node is."""
    return any(key in attributes for key in (*_LAT, *_LON))


def _number(attributes: dict[str, Any], keys: tuple[str, ...]) -> float | None:
    for key in keys:
        if key in attributes:
            try:
                number = float(str(attributes[key]).replace(",", "."))
            except ValueError:
                return None
            return number if math.isfinite(number) else None
    return None


def between(known: dict[str, Place], near: dict[str, list[str]]) -> dict[str, tuple[Place, list[str]]]:
    """For every node without a place: where it is put, and between which neighbours ([]: amid all known nodes).

    Neighbours of neighbours follow in rounds; {} when no place is known at all.
    """
    if not known:
        return {}
    found: dict[str, tuple[Place, list[str]]] = {}
    placed = dict(known)
    edge = {other for node in known for other in near[node] if other not in placed}
    while edge:
        fresh = {node: _amid(node, placed, near) for node in sorted(edge)}
        found |= fresh
        placed |= {node: place for node, (place, _) in fresh.items()}
        edge = {other for node in edge for other in near[node] if other not in placed}
    rest = [node for node in near if node not in placed]
    amid = middle(list(known.values())) if rest else (0.0, 0.0)
    return found | {node: (amid, []) for node in rest}


def _amid(node: str, placed: dict[str, Place], near: dict[str, list[str]]) -> tuple[Place, list[str]]:
    around = sorted({other for other in near[node] if other in placed})
    return middle([placed[other] for other in around]), around


def middle(places: list[Place]) -> Place:
    """The middle on the globe, so that 179 and -179 meet at 180; the first place where there is no middle."""
    x = y = z = 0.0
    for lat, lon in places:
        phi, theta = math.radians(lat), math.radians(lon)
        x += math.cos(phi) * math.cos(theta)
        y += math.cos(phi) * math.sin(theta)
        z += math.sin(phi)
    if math.hypot(x, y, z) < 1e-9:
        return places[0]
    return round(math.degrees(math.atan2(z, math.hypot(x, y))), 5), round(math.degrees(math.atan2(y, x)), 5)
