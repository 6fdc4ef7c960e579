"""The device machine: render -> plan -> gate -> commit -> soak -> confirm -> verify, a durable row before each.

After a crash the device is asked what it has; in doubt its own timer, or our rollback, takes the change back.
"""

from datetime import datetime, timedelta

import msgspec

from core import clock, crypto, faults, leases, logs
from core.errors import Retryable, Terminal
from core.ids import new_id
from drivers import registry
from drivers.contract import DeviceUnreachable, Driver
from intents.config.schema import Config
from inventory.model import DeviceModel
from reconciler import baselines, device_io, health, receipts, recovery, runs
from reconciler.context import Context, Rendering, render_device
from reconciler.errors import EmptyRender, NotVerified, RunOver, UnhealthyAfterCommit
from reconciler.gates import Closed, closed
from reconciler.gating import facts_of
from reconciler.runs import Run
from reconciler.states import ON_DEVICE, RunState
from reconciler.targets import target_of

P_RENDERED = faults.declare("machine.after_rendered")
P_PLANNED = faults.declare("machine.after_planned")
P_LEASED = faults.declare("machine.after_leased")
P_STAGED = faults.declare("machine.after_staged")
P_UNCONFIRMED = faults.declare("machine.before_commit")
P_COMMITTED = faults.declare("machine.after_commit")
P_SOAKED = faults.declare("machine.after_soak")
P_CONFIRMING = faults.declare("machine.before_confirm")
P_CONFIRMED = faults.declare("machine.after_confirm")
P_RECEIPT = faults.declare("machine.after_receipt")

_LEASE_SECONDS = 900.0
_ASKS = timedelta(days=3650)
_MARGIN = 15


class DeviceMachine:
    """Brings one device at a time to what trunk says; safe in many threads and processes at once."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.db = context.db

    def perform(self, run_id: str) -> Run:
        """Take an open run as far as it goes now; the device's own failures end in its state, not in an error.

        Raises LeaseHeld when another worker has the device, RunOver for a run that has ended.
        """
        run = self._lease(run_id)
        try:
            return self._work(run)
        finally:
            with self.db.write() as conn:
                leases.release(conn, runs.lease_name(run.device), self.context.owner)

    def _lease(self, run_id: str) -> Run:
        with self.db.write() as conn:
            run = runs.get(conn, run_id)
            if run is None or not run.open:
                raise RunOver(run_id)
            epoch = leases.take(conn, runs.lease_name(run.device), self.context.owner, _LEASE_SECONDS)
        return msgspec.structs.replace(run, epoch=epoch)

    def _work(self, run: Run) -> Run:
        try:
            return recovery.recover(self, run) if run.state in ON_DEVICE else self._forward(run)
        except DeviceUnreachable as error:
            return self._failed(run, RunState.UNREACHABLE, str(error))
        except Retryable as error:
            return self._failed(run, RunState.STALE, str(error))
        except Terminal as error:
            return self._failed(run, RunState.QUARANTINED, str(error))

    def _forward(self, run: Run) -> Run:
        if run.state is not RunState.DESIRED:
            run = self.advance(run, RunState.DESIRED, "tried again")
        rendering = self.render(run)
        run = self.advance(
            run, RunState.RENDERED, f"{len(rendering.reads)} reads",
            reads_hash=rendering.reads_hash, render_hash=rendering.rendered.digest,
        )  # fmt: skip
        faults.point(P_RENDERED)
        if not rendering.rendered.config.strip():
            raise EmptyRender(run.device)
        run = self.advance(run, RunState.VALIDATED)
        with self.session(rendering) as driver:
            return self._through(run, rendering, driver)

    def _through(self, run: Run, rendering: Rendering, driver: Driver) -> Run:
        run, drift = self._plan(run, rendering, driver)
        faults.point(P_PLANNED)
        if not run.diff:
            driver.discard_config()
            return self.verified(run, rendering, driver, "nothing to change", run.created_at)
        if rendering.model.device.manage == "observe":
            return self._only_observed(run, driver)
        gate = closed(facts_of(self.db, run, rendering.model, self.config(), drift))
        if gate is not None:
            driver.discard_config()
            return self._waits(run, gate, drift)
        return self._commit(self._prepare(run, rendering, driver), rendering, driver)

    def _plan(self, run: Run, rendering: Rendering, driver: Driver) -> tuple[Run, str]:
        if driver.has_pending_commit():
            raise Retryable(
                f"{run.device} has a commit that waits for its confirmation; it is let through first"
            )
        running = device_io.running_hash(driver)
        drift = self._drift(rendering.model, running, driver)
        device_io.load(driver, rendering)
        diff = driver.compare_config()
        note = f"{len(diff.splitlines())} lines differ" if diff else "nothing differs"
        run = self.advance(run, RunState.PLANNED, note, observed_hash=running, diff=logs.redact(diff))
        return run, drift

    def _drift(self, model: DeviceModel, running: str, driver: Driver) -> str:
        """What somebody changed on the device since our last apply; "" for nothing."""
        last = baselines.last_applied(self.db, model.id, self.context.key)
        if last is None or last.running_hash == running or not last.candidate:
            return ""
        device_io.load_config(driver, model.device, last.candidate)
        diff = driver.compare_config()
        driver.discard_config()
        return diff

    def _only_observed(self, run: Run, driver: Driver) -> Run:
        driver.discard_config()
        baselines.record_drift(self.db, run.device, "not-applied", run.diff or "")
        return self.advance(
            run, RunState.OBSERVED, "manage: observe, nothing is written", why="manage: observe"
        )

    def _waits(self, run: Run, gate: Closed, drift: str) -> Run:
        if gate.asks:
            baselines.record_drift(self.db, run.device, "overruled", drift)
        until = clock.now() + _ASKS if gate.asks else gate.until
        return self.advance(run, RunState.PAUSED, gate.why, not_before=until, why=gate.why)

    def _prepare(self, run: Run, rendering: Rendering, driver: Driver) -> Run:
        run = self.advance(run, RunState.GATED)
        run = self.advance(run, RunState.LEASED, f"epoch {run.epoch}")
        faults.point(P_LEASED)
        before = health.baseline(device_io.observe(driver), health.wanted(rendering.model))
        run = self.advance(run, RunState.PRECHECKED, baseline=before)
        self._require_same_reads(run, rendering)
        run = self.advance(run, RunState.STAGED)
        faults.point(P_STAGED)
        return run

    def _require_same_reads(self, run: Run, rendering: Rendering) -> None:
        """A plan binds what was read: when trunk moved on for this device meanwhile, plan again."""
        with self.context.reader() as reader:
            again = render_device(reader, run.device, self.context.secrets)
        if again.reads_hash != rendering.reads_hash:
            raise Retryable(f"{run.device}: its intent changed while the plan was made; it is planned again")

    def _commit(self, run: Run, rendering: Rendering, driver: Driver) -> Run:
        started, seconds = clock.now(), self._confirm_within()
        revert = registry.capabilities(rendering.model.device.platform).revert
        baselines.write_staged(self.db, run, self._sealed(run.device, rendering.rendered.config))
        run = self.advance(
            run, RunState.UNCONFIRMED, f"to confirm within {seconds} s, {revert} revert",
            deadline=started + timedelta(seconds=seconds), token=new_id("tok"), attempts=run.attempts + 1,
        )  # fmt: skip
        faults.point(P_UNCONFIRMED)
        driver.commit_config(
            message=f"trunkline {run.commit_id[:12]}", revert_in=None if revert == "none" else seconds
        )
        faults.point(P_COMMITTED)
        run = self.advance(run, RunState.SOAKING)
        self.soak(run, driver)
        faults.point(P_SOAKED)
        return self.confirm(run, rendering, driver, started)

    def _confirm_within(self) -> int:
        """Seconds of the device's timer: never shorter than what we may watch it for."""
        rollout = self.config().rollout
        return max(int(rollout.confirm), int(rollout.soak + health.SETTLE) + _MARGIN)

    def soak(self, run: Run, driver: Driver) -> None:
        """Watch the device; roll it back and raise UnhealthyAfterCommit when it lost what it had."""
        missing = health.watch(run.baseline or {}, driver, float(self.config().rollout.soak))
        if missing:
            driver.rollback()
            raise UnhealthyAfterCommit(run.device, missing)

    def confirm(self, run: Run, rendering: Rendering, driver: Driver, started: datetime) -> Run:
        """Make the commit final and prove it by comparing once more."""
        run = self.advance(run, RunState.CONFIRMED)
        faults.point(P_CONFIRMING)
        if driver.has_pending_commit():
            driver.confirm_commit()
        faults.point(P_CONFIRMED)
        return self.prove(run, rendering, driver, started)

    def prove(self, run: Run, rendering: Rendering, driver: Driver, started: datetime) -> Run:
        """Verified when nothing differs any more. Raises NotVerified."""
        device_io.load(driver, rendering)
        left = driver.compare_config()
        driver.discard_config()
        if left:
            raise NotVerified(run.device)
        return self.verified(run, rendering, driver, "applied", started)

    def verified(self, run: Run, rendering: Rendering, driver: Driver, note: str, started: datetime) -> Run:
        """Write the receipt and what now runs, then the last state."""
        candidate = self._sealed(run.device, rendering.rendered.config)
        running = device_io.running_hash(driver)
        with self.db.write() as conn:
            baselines.write_applied(conn, run, rendering, running, candidate)
            receipts.record(
                conn, commit=run.commit_id, lane=3, target=run.device, step="configuration", outcome="acked",
                asked=run.diff or "", answer=note, started_at=started,
            )  # fmt: skip
        faults.point(P_RECEIPT)
        return self.advance(run, RunState.VERIFIED, note, why=None, not_before=None)

    def _sealed(self, device: str, config: str) -> str:
        key = self.context.key
        return crypto.seal(key, config, f"applied/{device}", "candidate") if key else config

    def _failed(self, run: Run, state: RunState, why: str) -> Run:
        """Wait and try again, or stop; the rows in the database say where we are, not our copy."""
        with self.db.read() as conn:
            now = runs.get(conn, run.run_id) or run
        now = msgspec.structs.replace(now, epoch=run.epoch)
        logs.get("reconciler").warning("device run", device=run.device, state=state, why=why)
        if state is RunState.QUARANTINED:
            self._receipt_of_failure(now, why)
            return self.advance(now, state, why, why=why)
        tries = now.attempts + 1
        later = clock.now() + timedelta(seconds=min(300, 2 ** min(tries, 8)))
        # Once it is on the device the run stays where it is: only recovery may decide what became of it.
        kept = now.state if now.state in ON_DEVICE else state
        return self.advance(now, kept, why, why=why, attempts=tries, not_before=later)

    def _receipt_of_failure(self, run: Run, why: str) -> None:
        with self.db.write() as conn:
            receipts.record(
                conn, commit=run.commit_id, lane=3, target=run.device, step="configuration", outcome="failed",
                asked=run.diff or "", answer=why, started_at=run.created_at,
            )  # fmt: skip

    def render(self, run: Run) -> Rendering:
        """Render from the newest indexed revision and remember what was read for it."""
        with self.context.reader() as reader:
            rendering = render_device(reader, run.device, self.context.secrets)
        baselines.record_reads(self.db, run.device, rendering.reads)
        return rendering

    def session(self, rendering: Rendering) -> device_io.Session:
        """An open driver session to the rendering's device."""
        target = target_of(rendering.model, self.config(), self.context.secrets, self.context.keys)
        return registry.opened(target)

    def config(self) -> Config:
        """trunkline.yaml of the newest indexed revision."""
        with self.context.reader() as reader:
            config: Config = reader.get("config", "trunkline")
        return config

    def advance(self, run: Run, state: RunState, note: str = "", **values: object) -> Run:
        """Write the next state under our lease."""
        return runs.advance(self.db, run, state, note, self.context.owner, **values)
