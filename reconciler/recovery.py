"""After a crash: ask the device what it has. Ours and healthy -> go on; in doubt -> take it back and try again."""

from typing import TYPE_CHECKING

import msgspec

from drivers.contract import Driver
from reconciler import baselines, device_io
from reconciler.context import Rendering
from reconciler.errors import RevertedAgain
from reconciler.runs import Run
from reconciler.states import RunState
from renderers.contract import Rendered

if TYPE_CHECKING:
    from reconciler.machine import DeviceMachine


MAX_TRIES = 3
"""So often a commit may be found taken back: a change that cuts us off from its device must not go round for ever."""


def recover(machine: "DeviceMachine", run: Run) -> Run:
    """Take up a run that was on its device when its worker died, whatever trunk says by now."""
    rendering = _committed(machine, run)
    with machine.session(rendering) as driver:
        pending = driver.has_pending_commit()
        device_io.load(driver, rendering)
        differs = driver.compare_config()
        driver.discard_config()
        if differs:
            return _taken_back(machine, run, driver, pending)
        if run.state is RunState.CONFIRMED:
            if pending:
                driver.confirm_commit()
            return machine.prove(run, rendering, driver, run.updated_at)
        if run.state is RunState.UNCONFIRMED:
            run = machine.advance(run, RunState.SOAKING, "found committed after a restart")
        machine.soak(run, driver)
        return machine.confirm(run, rendering, driver, run.updated_at)


def _committed(machine: "DeviceMachine", run: Run) -> Rendering:
    """The device as trunk describes it now, with the configuration that this run committed."""
    rendering = machine.render(run)
    staged = baselines.read_staged(machine.db, run, machine.context.key)
    if staged is None:
        return rendering
    return msgspec.structs.replace(rendering, rendered=Rendered(config=staged))


def _taken_back(machine: "DeviceMachine", run: Run, driver: Driver, pending: bool) -> Run:
    """The device does not run what we committed: its timer was quicker, the commit never came, or somebody else did."""
    if pending:
        driver.rollback()
    run = machine.advance(run, RunState.REVERTED, "the device runs what it ran before", not_before=None)
    if run.attempts >= MAX_TRIES:
        raise RevertedAgain(run.device, run.attempts)
    return run
