"""Trial: which of the candidates may be applied, and which stay outside with the reasons.

A bad document keeps what was there before; a document that refers to one that is not there is bad itself, a
deletion of something that others still name is bad too. Everything else goes on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from core.problems import Problem
from intents import kinds
from intents.checks import Finding
from intents.finding import errors_within, told
from intents.loader import load
from intents.overlay import NOTHING, Overlay
from intents.reader import Identity, Reader
from intents.tree import mode_problem


class Candidate(msgspec.Struct, frozen=True):
    """What trunk has at a path since a commit; `blob` None: nothing."""

    path: str
    blob: str | None
    mode: int
    commit: str


class Good(msgspec.Struct, frozen=True):
    """A candidate that may be applied; `value` None: deleted."""

    candidate: Candidate
    key: Identity
    value: Any


class Bad(msgspec.Struct, frozen=True):
    """A candidate that stays outside."""

    candidate: Candidate
    problems: tuple[Problem, ...]


class Outcome(msgspec.Struct, frozen=True):
    """How the trial ended."""

    good: list[Good]
    bad: list[Bad]


def trial(reader: Reader, candidates: Sequence[Candidate], contents: Mapping[str, bytes]) -> Outcome:
    """Try all candidates together on what the reader has; take out the blamed until nothing is wrong."""
    bad: list[Bad] = []
    trying: dict[str, Good] = {}
    for candidate in candidates:
        found = _load(candidate, contents)
        if isinstance(found, Good):
            trying[candidate.path] = found
        elif found is not None:
            bad.append(found)
    while trying:
        blamed = _blame(reader, trying, contents)
        if not blamed:
            break
        for path, problems in blamed.items():
            bad.append(Bad(trying.pop(path).candidate, tuple(problems)))
    return Outcome(list(trying.values()), sorted(bad, key=lambda one: one.candidate.path))


def _load(candidate: Candidate, contents: Mapping[str, bytes]) -> Good | Bad | None:
    """The candidate by itself; None where a file goes that no intent could come from: nothing was applied."""
    odd = mode_problem(candidate.path, candidate.mode) if candidate.blob is not None else None
    if odd is not None:
        return Bad(candidate, (odd,))
    if candidate.blob is None:
        parsed = kinds.parse_path(candidate.path)
        if isinstance(parsed, Problem):
            return None
        return Good(candidate, parsed, None)
    found = load(candidate.path, contents[candidate.blob])
    if isinstance(found, list):
        return Bad(candidate, tuple(found))
    return Good(candidate, (found.kind, found.id), found.value)


def _blame(
    reader: Reader, trying: Mapping[str, Good], contents: Mapping[str, bytes]
) -> dict[str, list[Problem]]:
    """Candidate path -> the errors that it is to blame for."""
    changes = {good.key: good.value for good in trying.values()}
    overlay = Overlay(reader, changes)
    found = errors_within(overlay, None if reader is NOTHING else changes)
    if not found:
        return {}
    paths = {good.key: path for path, good in trying.items()}
    raw = {good.key: contents[good.candidate.blob] for good in trying.values() if good.candidate.blob}
    blamed: dict[str, list[Problem]] = {}
    for finding in found:
        for key in _culprits(overlay, paths, finding):
            blamed.setdefault(paths[key], []).append(told(finding, raw))
    return blamed


def _culprits(overlay: Overlay, paths: Mapping[Identity, str], finding: Finding) -> list[Identity]:
    """The candidate itself; or, where a document that did not change went wrong, the candidates it is tied to."""
    key = (finding.kind, finding.id)
    if key in paths:
        return [key]
    others = [one for one in finding.others if one in paths]
    return others or [one for one in sorted(_tied(overlay, key)) if one in paths]


def _tied(overlay: Overlay, key: Identity) -> set[Identity]:
    """What a document names, who names it, and who claims what it claims."""
    value = overlay.get(*key)
    if value is None:
        return set()
    named = {(one.kind, one.id) for one in kinds.references(*key, value)}
    naming = set(overlay.referrers(*key))
    rivals = {
        (one.kind, one.id)
        for claim in kinds.claims(*key, value)
        for one in overlay.claims_overlapping(claim.scope, claim.low, claim.high)
    }
    return named | naming | rivals
