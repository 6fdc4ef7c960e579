"""Python itself: its version, our dependencies, and nobody else's modules under the names of our rooms."""

import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path

from cli.doctor.finding import Finding
from core.discovery import ROOMS

OURS = Path(__file__).resolve().parent.parent.parent
"""The folder that holds our rooms: a work tree, or site-packages."""


def check_version(version: tuple[int, ...] = sys.version_info[:3]) -> Iterator[Finding]:
    """3.11 is the oldest that we run on."""
    text = ".".join(map(str, version))
    if version >= (3, 11):
        yield Finding("python", "ok", text)
    else:
        yield Finding("python", "fail", f"{text} is too old", "install Python 3.11 or newer")


def check_requirements(
    requirements: list[str] | None = None, version_of: Callable[[str], str] = metadata.version
) -> Iterator[Finding]:
    """Every distribution that we ask for is there in a version that we ask for."""
    from packaging.requirements import Requirement

    wanted = [Requirement(text) for text in (metadata.requires("trunkline") or [])] if requirements is None else [
        Requirement(text) for text in requirements
    ]  # fmt: skip
    unmet = [complaint for one in wanted if (complaint := _unmet(one.name, str(one.specifier), version_of))]
    for complaint in unmet:
        yield Finding("packages", "fail", complaint, "run: make setup")
    if not unmet:
        yield Finding("packages", "ok", f"all {len(wanted)} requirements are met")


def _unmet(name: str, specifier: str, version_of: Callable[[str], str]) -> str:
    from packaging.specifiers import SpecifierSet

    try:
        found = version_of(name)
    except metadata.PackageNotFoundError:
        return f"{name} is not installed"
    return (
        ""
        if SpecifierSet(specifier).contains(found, prereleases=True)
        else f"{name} {found} is not {specifier}"
    )


def check_collisions(owners: Mapping[str, list[str]] | None = None) -> Iterator[Finding]:
    """No other distribution installs a top-level package with the name of one of our rooms."""
    known = metadata.packages_distributions() if owners is None else owners
    others = {room: sorted(set(known.get(room, [])) - {"trunkline"}) for room in ROOMS}
    for room, names in others.items():
        for name in names:
            hint = f"give trunkline an environment of its own, or: pip uninstall {name}"
            yield Finding("collisions", "fail", f"{name} installs a package '{room}' too", hint)
    if not any(others.values()):
        yield Finding("collisions", "ok", "no other distribution uses the names of our rooms")


def check_origins(origin_of: Callable[[str], Path | None] | None = None) -> Iterator[Finding]:
    """What Python imports as a room is our room."""
    find = origin_of or _origin
    foreign = {room: place for room in ROOMS if (place := find(room)) and place.parent.parent != OURS}
    for room, place in foreign.items():
        yield Finding(
            "imports", "fail", f"'{room}' comes from {place}", "rename that file or leave its folder"
        )
    if not foreign:
        yield Finding("imports", "ok", "every room is ours")


def check_shadows(folder: Path) -> Iterator[Finding]:
    """No file in this folder hides a room from a Python that is started here with `python -m`."""
    if folder.resolve() == OURS:
        return
    for room in ROOMS:
        for name in (f"{room}.py", f"{room}/__init__.py"):
            if (folder / name).exists():
                message = f"{name} in this folder hides our room '{room}' from `python -m` here"
                yield Finding("shadows", "warn", message, "rename it, or start trunkline elsewhere")


def _origin(room: str) -> Path | None:
    found = importlib.util.find_spec(room)
    return Path(found.origin).resolve() if found and found.origin else None
