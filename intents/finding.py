"""Errors that the registered checks find within a scope: what the committer and the indexer go by."""

from collections.abc import Iterable, Mapping

from core.problems import Problem
from intents import checks
from intents.checks import Finding
from intents.reader import Identity, Reader


def errors_within(reader: Reader, changed: Iterable[Identity] | None) -> list[Finding]:
    """Errors (no warnings) of the checks in the scope of the changed documents; None: of all."""
    return [one for one in checks.findings(reader, checks.Scope(changed)) if one.severity == "error"]


def told(finding: Finding, contents: Mapping[Identity, bytes]) -> Problem:
    """The finding with line and column, where we have the file."""
    return checks.problem_of(finding, lambda kind, identifier: contents.get((kind, identifier)))
