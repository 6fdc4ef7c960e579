"""Decide what becomes of each set of a group: fold, then check and guard each on the tip that the ones before left.

Nothing is written here. A set that falls out after pushing others aside is taken out and the rest decided again.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy.engine import Connection

from core.problems import Problem
from intents import guards
from intents.committer.build import Edit, Landing
from intents.committer.check import check
from intents.committer.confine import confine
from intents.committer.fold import fold, landed_versions
from intents.committer.pending import Pending, Wanted
from intents.committer.preconditions import Wait, why_not
from intents.committer.tip import Left, Tip
from intents.config.schema import Guards
from intents.guards import Totals, Tripped
from intents.kinds import parse_path
from intents.states import State

_FALLEN = {State.PARKED, State.REJECTED, State.CONFLICTED}


class Verdict(msgspec.Struct, kw_only=True):
    """What becomes of one set. `landing` is set for `batched`, and for `parked` as the would-be commit."""

    pending: Pending
    state: State
    landing: Landing | None = None
    aside: dict[str, str] = {}
    blobs: dict[str, str | None] = {}
    problems: list[Problem] = []
    tripped: Tripped | None = None

    @property
    def is_release_lost(self) -> bool:
        """Whether somebody's release does not land by this verdict."""
        return self.state in _FALLEN and any(one.is_release for one in self.pending.changes)


class Ground(msgspec.Struct, frozen=True):
    """What a group is decided on: a connection for history, totals, and how to make a fresh tip."""

    conn: Connection
    totals: Totals
    tip: Tip


def decide(ground: Ground, sets: Sequence[Pending]) -> list[Verdict]:
    """A verdict for every set that need not wait, in order."""
    landed = landed_versions(ground.conn, sets)
    fallen: dict[str, Verdict] = {}
    while True:
        rest = [one for one in sets if one.set_id not in fallen]
        aside = fold(landed, rest)
        tip = Tip(ground.tip.repo, ground.tip.parent, ground.tip.reader)
        verdicts = [found for one in rest if (found := _judge(ground, tip, one, aside))]
        newly = {v.pending.set_id: v for v in verdicts if v.state in _FALLEN}
        if not newly or not aside:
            kept = {v.pending.set_id: v for v in verdicts} | fallen
            return [kept[one.set_id] for one in sets if one.set_id in kept]
        fallen |= newly


def _judge(ground: Ground, tip: Tip, pending: Pending, aside: dict[str, str]) -> Verdict | None:
    mine = {one.change_id: aside[one.change_id] for one in pending.changes if one.change_id in aside}
    live = [one for one in pending.changes if one.change_id not in mine]
    if not live:
        return Verdict(pending=pending, state=State.SUPERSEDED, aside=mine)
    try:
        verdict = _weigh(ground, tip, pending, live)
    except Wait:
        return None
    verdict.aside = mine
    return verdict


def _weigh(ground: Ground, tip: Tip, pending: Pending, live: list[Wanted]) -> Verdict:
    config = tip.overlay({}).get("config", "trunkline")
    if wrong := confine(config, pending):
        return Verdict(pending=pending, state=State.REJECTED, problems=wrong)
    if wrong := _conflicts(ground.conn, tip, pending, live):
        return Verdict(pending=pending, state=State.CONFLICTED, problems=wrong)
    blobs = {one.change_id: _blob(tip, one) for one in live}
    edits = tuple(Edit(one.path, one.content) for one in live if tip.blob(one.path) != blobs[one.change_id])
    if not edits:
        return Verdict(pending=pending, state=State.LANDED, blobs=blobs)
    checked = check(tip, edits)
    if checked.problems:
        return Verdict(pending=pending, state=State.REJECTED, problems=checked.problems)
    landing = _landing(pending, edits)
    if pending.released_by is None and (tripped := _guard(config.guards, ground.totals, pending, edits)):
        return Verdict(pending=pending, state=State.PARKED, landing=landing, tripped=tripped)
    tip.keep(_left(pending, live, blobs), checked.documents)
    return Verdict(pending=pending, state=State.BATCHED, landing=landing, blobs=blobs)


def _conflicts(conn: Connection, tip: Tip, pending: Pending, live: list[Wanted]) -> list[Problem]:
    return [
        Problem("change.conflict", why, one.path)
        for one in live
        if (why := why_not(conn, tip, pending.actor, one))
    ]


def _blob(tip: Tip, one: Wanted) -> str | None:
    return None if one.content is None else tip.repo.blob_id(one.content)


def _left(pending: Pending, live: list[Wanted], blobs: dict[str, str | None]) -> dict[str, Left]:
    return {one.path: Left(blobs[one.change_id], pending.actor, one.change_id) for one in live}


def _landing(pending: Pending, edits: tuple[Edit, ...]) -> Landing:
    return Landing(
        set_id=pending.set_id,
        actor=pending.actor,
        reason=pending.reason,
        edits=edits,
        correlation=pending.correlation,
        urgent=pending.urgent,
    )


def _guard(limits: Guards, totals: Totals, pending: Pending, edits: tuple[Edit, ...]) -> Tripped | None:
    weight = guards.weigh(
        (parsed[0], edit.content is None)
        for edit in edits
        if not isinstance(parsed := parse_path(edit.path), Problem)
    )
    # Who foresaw N holds also foresaw the fewer that are left when some were paid or are there already.
    sent = sum(one.op == "put" and one.path.startswith("holds/") for one in pending.changes)
    expect = weight.restrict if pending.expect == sent else pending.expect
    return guards.judge(limits, weight, totals, expect)
