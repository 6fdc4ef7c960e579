"""Who may change what: read from the parent commit, so that nobody widens his own permission."""

from core.problems import Problem
from intents.committer.pending import Pending
from intents.config.schema import Config, Identity
from intents.hold import kind as hold
from intents.kinds import parse_path

_SECOND_PERSON = ("trunkline.yaml", "policies/", "templates/")


def confine(config: Config, pending: Pending) -> list[Problem]:
    """Why this actor may not make these changes; empty when it may."""
    identity = config.identities.get(pending.actor)
    if identity is not None and not identity.person:
        return [found for one in pending.changes if (found := _outside(pending.actor, identity, one.path))]
    if pending.actor_kind == "machine":
        hint = "list it in trunkline.yaml under identities with its paths and reasons"
        return [Problem("identity.unknown", f"machine '{pending.actor}' is not listed", hint=hint)]
    return _second_person(pending)


def _outside(actor: str, identity: Identity, path: str) -> Problem | None:
    if not any(path == allowed or path.startswith(allowed) for allowed in identity.paths):
        return Problem("identity.path", f"'{actor}' may only change {', '.join(identity.paths)}", path)
    if path.startswith("holds/"):
        parsed = parse_path(path)
        reason = "" if isinstance(parsed, Problem) else hold.reason_of(parsed[1])
        if reason not in identity.reasons:
            allowed = ", ".join(identity.reasons) or "none"
            return Problem("identity.reason", f"'{actor}' may only set or lift holds for: {allowed}", path)
    if path.startswith(_SECOND_PERSON):
        return Problem("identity.machine", "only two persons may change this, never a machine", path)
    return None


def _second_person(pending: Pending) -> list[Problem]:
    if pending.approver is not None and pending.approver != pending.actor:
        return []
    hint = "send an approver besides the actor, or open a pull request"
    return [
        Problem("identity.second-person", "this needs a second person", one.path, hint=hint)
        for one in pending.changes
        if one.path.startswith(_SECOND_PERSON)
    ]
