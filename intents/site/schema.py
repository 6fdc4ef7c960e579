"""network/sites/<id>.yaml: a place."""

from typing import Annotated

from msgspec import Meta

from intents.config.schema import Zone
from intents.scalars import Id, Line
from intents.structs import Intent


class Location(Intent, frozen=True, kw_only=True):
    """Degrees (WGS 84)."""

    lat: Annotated[float, Meta(ge=-90, le=90, description="a latitude, -90 to 90")]
    lon: Annotated[float, Meta(ge=-180, le=180, description="a longitude, -180 to 180")]


class Site(Intent, frozen=True, kw_only=True):
    """A place with devices; `agent` is the site worker that reaches them."""

    name: Line
    location: Location | None = None
    timezone: Zone | None = None
    agent: Id | None = None
