"""After a crash: ask the device what it has. Ours and healthy -> go on; in doubt -> take it back and try again."""

from typing import TYPE_CHECKING

from drivers.contract import Driver
from reconciler import device_io
from reconciler.context import Rendering
from reconciler.errors import RevertedAgain
from reconciler.runs import Run
from reconciler.states import RunState

if TYPE_CHECKING:
    from reconciler.machine import DeviceMachine


MAX_TRIES = 3
"""So often a commit may be found taken back: a change that cuts us off from its device must not go round for ever."""


def recover(machine: "DeviceMachine", run: Run) -> Run:
    """Take up a run that was on its device when its worker died."""
    rendering = machine.render(run)
    with machine.session(rendering) as driver:
        pending = driver.has_pending_commit()
        device_io.load(driver, rendering)
        differs = driver.compare_config()
        driver.discard_config()
        if run.state is RunState.CONFIRMED:
            return _confirmed(machine, run, rendering, driver, pending, differs)
        return _unconfirmed(machine, run, rendering, driver, pending, differs)


def _confirmed(
    machine: "DeviceMachine", run: Run, rendering: Rendering, driver: Driver, pending: bool, differs: str
) -> Run:
    if pending and not differs:
        driver.confirm_commit()
    if differs:
        return machine.advance(run, RunState.STALE, "it differs again after a restart")
    return machine.prove(run, rendering, driver, run.updated_at)


def _unconfirmed(
    machine: "DeviceMachine", run: Run, rendering: Rendering, driver: Driver, pending: bool, differs: str
) -> Run:
    if not differs and rendering.rendered.digest == run.render_hash:
        if run.state is RunState.UNCONFIRMED:
            run = machine.advance(run, RunState.SOAKING, "found committed after a restart")
        machine.soak(run, driver)
        return machine.confirm(run, rendering, driver, run.updated_at)
    if pending:
        driver.rollback()
    run = machine.advance(run, RunState.REVERTED, "the device runs what it ran before", not_before=None)
    if run.attempts >= MAX_TRIES:
        raise RevertedAgain(run.device, run.attempts)
    return run
