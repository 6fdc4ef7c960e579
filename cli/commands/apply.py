"""Bring devices to what trunk says, again or with a person's yes."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.answer import answer
from cli.here import Actor, Json, counted, opened
from cli.progress import Bar

if TYPE_CHECKING:
    from cli.installation import Installation
    from reconciler.runs import Run

_POLL = 0.2


def command(
    actor: Actor,
    devices: Annotated[
        list[str], typer.Argument(metavar="[DEVICE]…", help="Only these; default: all managed.")
    ] = [],  # noqa: B006
    overrule: Annotated[
        bool, typer.Option("--overrule", help="Undo what somebody changed on the device by hand.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until each is through or must wait itself.")
    ] = False,
    timeout: Annotated[float, typer.Option(help="Wait at most so many seconds.")] = 600.0,
    as_json: Json = False,
) -> None:
    """Ask for devices at the indexed revision; `trunkline serve` does the work.

    With --wait status 1 when a device did not get there.
    """
    from reconciler import pausing

    with opened() as here:
        with here.reader() as reader, here.db.write() as conn:
            asked = pausing.apply(conn, reader, devices, actor=actor, overrule=overrule)
        found = _wait(here, asked, timeout) if wait else {}
    lines = [f"{device}: {run.state}{f', {run.why}' if run.why else ''}" for device, run in found.items()]
    missing = [device for device in asked if wait and not _is_there(found.get(device))]
    lines.append(
        f"asked for {counted(len(asked), 'device')}" + (f", {len(missing)} not there yet" if missing else "")
    )
    states = {device: {"run": run, "state": _state(found.get(device))} for device, run in asked.items()}
    answer("apply", text="\n".join(lines), as_json=as_json, devices=states, missing=missing)
    if missing:
        raise typer.Exit(1)


def _wait(here: "Installation", asked: dict[str, str], timeout: float) -> "dict[str, Run]":
    """Device -> its run, once every run is over or waits for a gate, or the time is up."""
    end = time.monotonic() + timeout
    with Bar("applying") as bar:
        while True:
            found = _runs(here, asked)
            done = sum(_rests(run) for run in found.values())
            bar(done, len(asked))
            if done == len(asked) or time.monotonic() >= end:
                return found
            time.sleep(_POLL)


def _runs(here: "Installation", asked: dict[str, str]) -> "dict[str, Run]":
    from reconciler import runs

    with here.db.read() as conn:
        found = {device: runs.get(conn, run_id) for device, run_id in asked.items()}
    return {device: run for device, run in found.items() if run is not None}


def _rests(run: "Run") -> bool:
    from reconciler.gates import EARLIER_WAVE

    return not run.open or (run.state == "paused" and run.why != EARLIER_WAVE)


def _is_there(run: "Run | None") -> bool:
    return run is not None and run.state in ("verified", "observed", "superseded")


def _state(run: Any) -> str:
    return str(run.state) if run is not None else "desired"
