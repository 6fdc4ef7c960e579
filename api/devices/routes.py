"""Devices: state, run steps, diff, drift; pause, unpause, apply."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, Field

from api.answers import Answer, answer
from api.devices import view
from api.devices.view import DeviceState
from api.errors import NotThere
from api.given import Given
from api.here import Here
from api.resource import After, Limit, page, resource
from api.security import needs
from api.tokens import Identity
from reconciler import baselines, pausing, runs

ROUTER = resource("devices")


class Devices(Answer):
    """A page of devices."""

    devices: list[DeviceState]
    next: str | None = None


class RunState(BaseModel):
    """A device on its way to a commit."""

    id: str
    commit: str
    state: str
    open: bool
    wave: int
    attempts: int
    why: str | None
    created_at: datetime
    updated_at: datetime


class One(Answer):
    """A device with its last difference, redacted."""

    device: DeviceState
    diff: str
    drift_diff: str
    runs: list[RunState]
    next: str | None = None


class Step(BaseModel):
    """A state that a run went through."""

    state: str
    note: str
    at: datetime


class Steps(Answer):
    """A run's way."""

    run: RunState
    steps: list[Step]
    diff: str


class PauseWanted(Given):
    """How long nothing shall be written to the device."""

    seconds: Annotated[int, Field(gt=0, le=30 * 86400)]
    why: Annotated[str, Field(max_length=200)] = ""


class ApplyWanted(Given):
    """`overrule`: undo what somebody changed on the device."""

    overrule: bool = False


class Asked(Answer):
    """The run that was asked for."""

    run: str


class Changed(Answer):
    """The device after the change."""

    device: DeviceState


@ROUTER.get("", response_model=Devices)
def list_devices(
    here: Here, _who: Annotated[Identity, needs("viewer")], limit: Limit = 100, after: After = ""
) -> Any:
    """List devices by id."""
    with here.context.reader() as reader, here.context.db.read() as conn:
        found = [one for one in view.device_states(reader, conn) if one.id > after]
    shown, cursor = page(found, limit, "id")
    return answer("devices", devices=shown, next=cursor)


@ROUTER.get("/{device}", response_model=One)
def show_device(
    here: Here, _who: Annotated[Identity, needs("viewer")], device: str, limit: Limit = 20, after: After = ""
) -> Any:
    """Show a device, its last difference, its drift and its runs, newest first."""
    with here.context.reader() as reader, here.context.db.read() as conn:
        state = view.device_state(reader, conn, device)
        found, cursor = page(view.runs_of(conn, device, limit + 1, after), limit, "run_id")
        drift = baselines.drifted(conn).get(device, ("", ""))[1]
    return answer(
        "device", device=state, diff=view.last_diff(found), drift_diff=drift, runs=[_run(one) for one in found],
        next=cursor,
    )  # fmt: skip


@ROUTER.get("/{device}/runs/{run}", response_model=Steps)
def show_run(here: Here, _who: Annotated[Identity, needs("viewer")], device: str, run: str) -> Any:
    """Show the steps of a run."""
    with here.context.db.read() as conn:
        found = runs.get(conn, run)
        if found is None or found.device != device:
            raise NotThere("run", run)
        steps = [Step(state=state, note=note, at=at) for state, note, at in runs.steps(conn, run)]
    return answer("run", run=_run(found), steps=steps, diff=found.diff or "")


@ROUTER.post("/{device}/pause", response_model=Changed)
def pause(here: Here, who: Annotated[Identity, needs("engineer")], device: str, wanted: PauseWanted) -> Any:
    """Write nothing to the device for a while; what is on the device already is brought to its end."""
    length = timedelta(seconds=wanted.seconds)
    with here.context.reader() as reader, here.context.db.write() as conn:
        pausing.pause(conn, device, length, actor=who.actor, why=wanted.why, reader=reader)
        return answer("device", device=view.device_state(reader, conn, device))


@ROUTER.post("/{device}/unpause", response_model=Changed)
def unpause(here: Here, who: Annotated[Identity, needs("engineer")], device: str) -> Any:
    """Let the device go on."""
    with here.context.reader() as reader, here.context.db.write() as conn:
        view.require(reader, device)
        pausing.unpause(conn, device, actor=who.actor)
        return answer("device", device=view.device_state(reader, conn, device))


@ROUTER.post("/{device}/apply", response_model=Asked, status_code=202)
def apply(here: Here, who: Annotated[Identity, needs("engineer")], device: str, wanted: ApplyWanted) -> Any:
    """Bring the device to trunk now; follow the run."""
    with here.context.reader() as reader, here.context.db.write() as conn:
        asked = pausing.apply(conn, reader, [device], actor=who.actor, overrule=wanted.overrule)
    return answer("apply", run=asked[device])


def _run(run: runs.Run) -> RunState:
    return RunState(
        id=run.run_id, commit=run.commit_id, state=run.state.value, open=run.open, wave=run.wave,
        attempts=run.attempts, why=run.why, created_at=run.created_at, updated_at=run.updated_at,
    )  # fmt: skip
