"""Find the renderer of a platform: `renderers/<platform>/renderer.py`."""

import importlib
from functools import cache
from types import ModuleType
from typing import Any, cast

from core import discovery
from core.errors import Terminal
from inventory.model import ServiceOnLine
from renderers.contract import Renderer, WantedObject


class NoRenderer(Terminal):
    """No renderer for a platform."""

    def __init__(self, platform: str) -> None:
        known = ", ".join(platforms())
        super().__init__(f"there is no renderer for platform '{platform}'; known are {known}")


def platforms() -> list[str]:
    """Names of all platforms that have a renderer."""
    return list(discovery.folders("renderers", "renderer"))


def renderer_for(platform: str) -> Renderer:
    """The platform's renderer. Raises NoRenderer."""
    return cast(Renderer, _module(platform))


@cache
def has_objects(platform: str) -> bool:
    """Whether the platform takes subscriber objects (lane 2); asked for every line, so looked up once."""
    return platform in discovery.folders("renderers", "objects")


def objects_of(
    platform: str, line_id: str, line: Any, services: tuple[ServiceOnLine, ...]
) -> list[WantedObject]:
    """What a line and its services want on a device of the platform; [] for platforms without such objects."""
    if not has_objects(platform):
        return []
    module = importlib.import_module(f"renderers.{platform}.objects")
    found: list[WantedObject] = module.objects(line_id, line, services)
    return found


def _module(platform: str) -> ModuleType:
    if platform not in platforms():
        raise NoRenderer(platform)
    return importlib.import_module(f"renderers.{platform}.renderer")
