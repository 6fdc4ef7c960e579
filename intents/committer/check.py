"""Check: load what a set writes, and run the checks in the scope of what it changes.

Mistakes that were there before are not the set's fault: only what it adds rejects it.
"""

import msgspec

from core.problems import Problem
from intents.checks import Finding
from intents.committer.build import Edit
from intents.committer.tip import Tip
from intents.finding import errors_within, told
from intents.kinds import parse_path
from intents.loader import load
from intents.reader import Identity

Documents = dict[Identity, object | None]


class Checked(msgspec.Struct, frozen=True):
    """The documents that the edits make (None: deleted), or what is wrong with them."""

    documents: Documents
    problems: list[Problem]


def check(tip: Tip, edits: tuple[Edit, ...]) -> Checked:
    """Load and check the edits against the tree that they would make."""
    loaded = load_all(edits)
    if loaded.problems or all(
        kind == "hold" and value is None for (kind, _), value in loaded.documents.items()
    ):
        return loaded  # lifting holds can break nothing: nothing refers to them
    scope = set(loaded.documents)
    after = errors_within(tip.overlay(loaded.documents), scope)
    if not after:
        return loaded
    before = {_same(one) for one in errors_within(tip.overlay({}), scope)}
    contents = {key: edit.content for edit in edits if edit.content and (key := _key(edit.path))}
    return Checked(loaded.documents, [told(one, contents) for one in after if _same(one) not in before])


def load_all(edits: tuple[Edit, ...]) -> Checked:
    """Every edit as a document; all mistakes at once."""
    documents: Documents = {}
    problems: list[Problem] = []
    for edit in edits:
        if edit.content is None:
            problems += _delete(documents, edit.path)
            continue
        found = load(edit.path, edit.content)
        if isinstance(found, list):
            problems += found
        else:
            documents[found.kind, found.id] = found.value
    return Checked(documents, problems)


def _delete(documents: Documents, path: str) -> list[Problem]:
    if path == "trunkline.yaml":
        return [Problem("config.missing", "trunkline.yaml cannot be deleted", path)]
    parsed = parse_path(path)
    if not isinstance(parsed, Problem):
        documents[parsed] = None
    return []


def _key(path: str) -> Identity | None:
    parsed = parse_path(path)
    return None if isinstance(parsed, Problem) else parsed


def _same(one: Finding) -> tuple[str, str, str, str]:
    return one.code, one.kind, one.id, one.message
