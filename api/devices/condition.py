"""How a device is, in one word and one tone, from its intent, its newest run, its drift and its pause. Pure."""

from typing import Literal, NamedTuple

from intents.device.schema import Device
from reconciler.runs import Run
from reconciler.states import RunState

Tone = Literal["bad", "warn", "wait", "busy", "off", "ok"]
WORST_FIRST: tuple[Tone, ...] = ("bad", "warn", "wait", "busy", "off", "ok")

_OF_RUN: dict[RunState, tuple[Tone, str]] = {
    RunState.VERIFIED: ("ok", "as in trunk"),
    RunState.OBSERVED: ("ok", "observed"),
    RunState.QUARANTINED: ("bad", "quarantined"),
    RunState.UNREACHABLE: ("bad", "unreachable"),
    RunState.REVERTED: ("bad", "reverted by its timer"),
    RunState.STALE: ("warn", "tried again soon"),
    RunState.PAUSED: ("wait", "waits"),
}


class Condition(NamedTuple):
    """`tone` is for colours, `label` says it, `why` explains it."""

    tone: Tone
    label: str
    why: str = ""


def condition(device: Device, run: Run | None, drift: str = "", paused: str = "") -> Condition:
    """`drift`: its kind; `paused`: by whom and why; both empty where there is none."""
    if device.state in ("planned", "retired"):
        return Condition("off", device.state)
    if device.management is None:
        return Condition("off", "not managed", "its intent has no `management`")
    if paused:
        return Condition("wait", "paused", paused)
    if run is None:
        return Condition("off", "not seen yet")
    tone, label = _OF_RUN.get(run.state, ("busy", run.state.value.replace("-", " ")))
    if drift and tone in ("ok", "wait"):
        return Condition("warn", "drifted", _DRIFT.get(drift, drift))
    return Condition(tone, label, run.why or "")


_DRIFT = {
    "unmanaged": "it has what no intent mentions",
    "not-applied": "it differs from trunk and is only observed",
    "overruled": "somebody changed it by hand; it waits for a person",
}
