"""The registry of kinds and the way between a path and (kind, id)."""

import difflib
import functools
import importlib
import re
from collections.abc import Iterator
from typing import Any

from core import discovery, ids
from core.problems import Problem
from core.structs import make_ready
from intents import claims as spelling
from intents.kind import Claim, Complaint, Field, Kind, Reference

__all__ = [
    "KINDS", "Claim", "Complaint", "Field", "Kind", "Reference", "claims", "fits", "identity_of", "is_foreign",
    "kind_of", "parse_path", "path_of", "references",
]  # fmt: skip

_FOREIGN = re.compile(
    r"(README|LICENSE|CHANGELOG|CONTRIBUTING|CODEOWNERS)(\.[A-Za-z]+)?|\.(gitignore|gitattributes|editorconfig|yamllint)"
    r"|\.gitlab-ci\.yml|\.(github|gitlab|gitea|forgejo|vscode|idea)/.+|schemas/.+|docs/.+"
)


def _discover() -> dict[str, Kind]:
    found = (
        importlib.import_module(f"intents.{name}.kind").KIND for name in discovery.folders("intents", "kind")
    )
    return {kind.name: kind for kind in found}


KINDS: dict[str, Kind] = _discover()
_BY_FOLDER = {kind.folder: kind for kind in KINDS.values() if kind.folder}
_BY_FILE = {kind.pattern: kind for kind in KINDS.values() if not kind.folder}


def kind_of(path: str) -> Kind | None:
    """The kind whose files live where the path is; the file name is not looked at."""
    if path in _BY_FILE:
        return _BY_FILE[path]
    parts = path.split("/")
    for length in (1, 2):
        kind = _BY_FOLDER.get("/".join(parts[:length]))
        if kind and len(parts) > length:
            return kind
    return None


def is_foreign(path: str) -> bool:
    """Whether a file may be there without being an intent: a README, CI pipelines, editor settings, schemas."""
    return _FOREIGN.fullmatch(path) is not None


def path_of(kind: str, identifier: str) -> str:
    """Where a document lives: `path_of("line", "L-20881")` is `lines/<aa>/<bb>/L-20881.yaml`."""
    known = KINDS[kind]
    shard = ids.shard(known.shard_key(identifier)) if known.sharded else ""
    return known.pattern.format(id=identifier, shard=shard)


def parse_path(path: str) -> tuple[str, str] | Problem:
    """(kind, id) of a path, or the problem with it."""
    kind = kind_of(path)
    if kind is None:
        return Problem(
            "path.unknown", f"no kind of intent has its files at {path}", path, hint=_nearest_folder(path)
        )
    if path in _BY_FILE:
        return kind.name, path.removesuffix(".yaml")
    identifier = _identifier(kind, path)
    if identifier is None or not fits(kind.name, identifier):
        return Problem("path.id", f"the file name of {kind.plural} must be {_shape(kind)}", path)
    right = path_of(kind.name, identifier)
    if path != right:
        return Problem(
            "path.shard", f"{kind.name} {identifier} must be at {right}", path, hint=f"git mv {path} {right}"
        )
    return kind.name, identifier


def identity_of(path: str) -> tuple[str, str] | None:
    """(kind, id) that a path means, also when it lies in the wrong folders; None when it means nothing."""
    kind = kind_of(path)
    if kind is None:
        return None
    identifier = path.removesuffix(".yaml") if path in _BY_FILE else _identifier(kind, path)
    return (kind.name, identifier) if identifier is not None and fits(kind.name, identifier) else None


def _identifier(kind: Kind, path: str) -> str | None:
    if not path.endswith(kind.suffix):
        return None
    rest = path.removesuffix(kind.suffix).removeprefix(f"{kind.folder}/")
    return rest.rsplit("/", 1)[-1] if kind.sharded else rest


def _shape(kind: Kind) -> str:
    if kind.name == "hold":
        return "<service>.<reason>.yaml"
    if kind.name == "template":
        return "<platform>/<name>.j2"
    return "<id>.yaml with an id of letters, digits and hyphens, at most 63"


def _nearest_folder(path: str) -> str:
    folder = path.rsplit("/", 1)[0] if "/" in path else path
    candidates = [*_BY_FOLDER, *_BY_FILE]
    near = difflib.get_close_matches(folder, candidates, 1, 0.6) or difflib.get_close_matches(
        folder.split("/")[0], candidates, 1, 0.6
    )
    return (
        f"did you mean {near[0]}?"
        if near
        else f"intents live in {', '.join(sorted(_BY_FOLDER))} and trunkline.yaml"
    )


make_ready()  # files are loaded by several threads


@functools.cache
def _pattern(kind: str) -> re.Pattern[str]:
    return re.compile(KINDS[kind].id_pattern)


def fits(kind: str, identifier: str) -> bool:
    """Whether a text can be an id of the kind."""
    return _pattern(kind).fullmatch(identifier) is not None


def references(kind: str, identifier: str, value: Any) -> list[Reference]:
    """Every field of the document that names another document; a hold's file name names its service."""
    return list(KINDS[kind].references(identifier, value))


def claims(kind: str, identifier: str, value: Any) -> list[Claim]:
    """Everything that the document claims for itself, its id (ignoring case) included."""
    return [*_own_id(kind, identifier), *KINDS[kind].claims(identifier, value)]


def _own_id(kind: str, identifier: str) -> Iterator[Claim]:
    yield spelling.exactly(f"id:{kind}", identifier.lower(), ())
