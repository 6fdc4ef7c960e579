"""The house rules that no linter knows."""

import ast
import importlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from core import migrate
from core.db import Database, metadata
from core.discovery import ROOMS
from tests.support import ROOT
from tests.toolchain.sources import name, room_sources, sources_of_tests, tracked, tree

LONGEST = 400
# DESIGN, vocabulary: words that say nothing. As a module's name, or as the last word of a class's.
EMPTY_WORDS = {
    "user",
    "manager",
    "data",
    "handle",
    "process",
    "utils",
    "util",
    "helper",
    "helpers",
    "common",
    "misc",
}
# Public registries, in two parts so that this file does not find itself.
REGISTRIES = [
    "pypi" + ".org",
    "python" + "hosted.org",
    "npmjs" + ".com",
    "npmjs" + ".org",
    "deb.debian" + ".org",
]
OPTIONS = re.compile(r"(?<!no-emit-)(?<=-)(?:index|find)-(?:url|links)")
SNAKE = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


def test_no_room_has_a_file_above_400_lines():
    """A longer file wants to be two."""
    long = {name(path): lines for path in room_sources() if (lines := _length(path)) > LONGEST}
    assert long == {}


def test_no_module_or_class_has_a_name_that_says_nothing():
    """A name says what the thing is in the operator's world."""
    modules = [name(path) for path in room_sources() if set(path.stem.split("_")) & EMPTY_WORDS]
    classes = [
        f"{name(path)}: {node.name}"
        for path in room_sources()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef) and SNAKE.findall(node.name)[-1].lower() in EMPTY_WORDS
    ]
    assert modules + classes == []


def test_every_test_states_its_claim():
    """A test's docstring says what must hold; its name alone is a title."""
    silent = [
        f"{name(path)}:{node.lineno} {node.name}"
        for path in sources_of_tests()
        for node in _functions(tree(path))
        if node.name.startswith("test_") and not ast.get_docstring(node) and path.stem.startswith("test_")
    ]
    assert silent == []


def test_no_test_sleeps():
    """Waiting is `eventually`: a sleep is too short on a busy machine and too long on an idle one."""
    sleeping = [
        f"{name(path)}:{node.lineno}"
        for path in sources_of_tests()
        if path.stem.startswith("test_")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.sleep", "sleep")
    ]
    assert sleeping == []


def test_no_file_names_a_registry_or_a_path_of_a_machine():
    """Where packages come from is the installing machine's own setting."""
    words = [*REGISTRIES, *_places_of_this_machine()]
    found = [
        f"{name(path)}: {word}"
        for path in tracked()
        if (text := _text(path)) is not None
        for word in [*(one for one in words if one in text), *OPTIONS.findall(text)]
    ]
    assert found == []


def _places_of_this_machine() -> set[str]:
    """The work tree, Python's own folder, and wherever this machine's pip and uv look for packages."""
    configured = [value for key, value in os.environ.items() if key.startswith(("PIP_", "UV_"))]
    places = {
        str(ROOT),
        sys.base_prefix,
        *(word for value in configured for word in value.split() if "/" in word),
    }
    # Short ones are everybody's: /usr, /tmp/x, or the bundle of certificates.
    return {place for place in places if len(place) > len("/usr/local") and "/etc/ssl" not in place}


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "cli"])
def test_every_room_says_what_it_is(room: str):
    """A README: what the room is for, its contract, an example."""
    if len([path for path in room_sources() if path.parts[len(ROOT.parts)] == room]) > 1:
        assert (ROOT / room / "README.md").exists()


def test_migrations_make_exactly_the_tables_of_the_models(database: Database):
    """After an upgrade nothing is left for Alembic to do, on both databases."""
    migrate.check(database)
    with database.read() as conn:
        differences = compare_metadata(MigrationContext.configure(conn), _all_tables())
    assert [_short(one) for one in differences] == []


@pytest.mark.parametrize(("room", "marker"), [("drivers", "driver.py"), ("renderers", "renderer.py")])
def test_platforms_do_not_know_each_other(room: str, marker: str):
    """A vendor's folder can be deleted without another noticing; what they share lies beside them."""
    platforms = {path.parent.name for path in room_sources() if path.match(f"{room}/*/{marker}")}
    meetings = [
        f"{name(path)}: {module}"
        for path in room_sources()
        if path.relative_to(ROOT).parts[0] == room and path.relative_to(ROOT).parts[1] in platforms
        for module in _imported(tree(path))
        for other in platforms - {path.relative_to(ROOT).parts[1]}
        if f"{module}.".startswith(f"{room}.{other}.")
    ]
    assert meetings == []


def _imported(module: ast.Module) -> Iterator[str]:
    """Dotted names of what a source imports; `from a import b` counts as `a.b`."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _all_tables() -> sa.MetaData:
    """Every room's tables of recorded state in one collection; imports each `models.py`."""
    for path in room_sources():
        if path.stem == "models":
            importlib.import_module(name(path).removesuffix(".py").replace("/", "."))
    together = sa.MetaData(naming_convention=metadata("core").naming_convention)
    for room in ROOMS:
        for table in metadata(room).tables.values():
            table.to_metadata(together)
    return together


def _short(difference: Any) -> str:
    """`add_table invoice`: what Alembic would still do."""
    if isinstance(difference, list):
        return "; ".join(map(_short, difference))
    what, *rest = difference
    return " ".join([what, *(str(getattr(one, "name", one)) for one in rest if one is not None)])


def _functions(module: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _length(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def _text(path: Path) -> str | None:
    """A file's text; None for pictures and other bytes."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None
