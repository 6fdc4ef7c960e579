"""Find what is there instead of listing it: a new vendor, kind or gateway is a folder, nothing else is edited."""

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

ROOMS = (
    "core", "intents", "inventory", "renderers", "drivers", "aaa", "billing",
    "crm", "reconciler", "api", "ci", "cli",
)  # fmt: skip


def has_module(name: str) -> bool:
    """Whether a dotted module exists, without importing it (its parents are imported)."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def load(room: str) -> ModuleType | None:
    """Import `<room>.register`, which registers the room's checks, jobs and events; None where a room has none."""
    return importlib.import_module(f"{room}.register") if has_module(f"{room}.register") else None


def load_all(rooms: tuple[str, ...] = ROOMS) -> None:
    """Register everything that the given rooms offer."""
    for room in rooms:
        load(room)


def folders(package: str, module: str) -> Iterator[str]:
    """Names of the sub-packages of `package` that contain `module`, sorted: `folders("drivers", "driver")`."""
    for info in sorted(pkgutil.iter_modules(importlib.import_module(package).__path__), key=lambda i: i.name):
        if info.ispkg and _contains(package, info.name, module):
            yield info.name


def _contains(package: str, folder: str, module: str) -> bool:
    root = importlib.import_module(package).__path__[0]
    base = Path(root) / folder
    return (base / f"{module}.py").exists() or (base / module).is_dir()
