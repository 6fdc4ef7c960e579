"""The reconciler as a whole: it follows the index on three lanes and works on devices without one blocking another."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from core import logs
from core.errors import TrunklineError
from core.leases import LeaseHeld
from core.structs import make_ready
from reconciler import objects, runs, topology
from reconciler.context import Context
from reconciler.errors import RunOver
from reconciler.machine import DeviceMachine
from reconciler.sessions import SessionLane

_IDLE = 0.05


class Reconciler:
    """`run_once()` does what is due and waits for it; `serve(stop)` keeps going until told to stop."""

    def __init__(self, context: Context, workers: int = 16) -> None:
        make_ready()
        self.context = context
        self.sessions = SessionLane(context)
        self.machine = DeviceMachine(context)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="device")
        self._busy: dict[str, Future[None]] = {}

    def run_once(self) -> int:
        """Follow all lanes, do what is due and wait until it is done; returns how much was done."""
        done = self.sessions.run_once() + self.follow()
        started = self._start_due()
        for future in list(self._busy.values()):
            future.result()
        return done + started

    def run_until_idle(self, rounds: int = 200) -> None:
        """Go on until nothing is due any more."""
        for _ in range(rounds):
            if not self.run_once():
                return

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=True)
        self.sessions.close()

    def follow(self) -> int:
        """Queue what new commits ask of devices."""
        return len(topology.follow(self.context)) + objects.follow(self.context)

    def serve(self, stop: threading.Event) -> None:
        """Run until `stop` is set: sessions in this thread, devices in their own."""
        devices = threading.Thread(target=self._serve_devices, args=(stop,), name="topology", daemon=True)
        devices.start()
        while not stop.is_set():
            if not _guarded(self.sessions.step):
                self.sessions.rest(_IDLE)
        devices.join()
        self.close()

    def _serve_devices(self, stop: threading.Event) -> None:
        while not stop.is_set():
            if not _guarded(self.follow) and not _guarded(self._start_due):
                stop.wait(_IDLE * 2)

    def _start_due(self) -> int:
        """Give every device with due work to a thread, unless it is being worked on."""
        self._busy = {device: future for device, future in self._busy.items() if not future.done()}
        with self.context.db.read() as conn:
            work = {run.device: [run.run_id] for run in runs.due(conn)}
            for device in objects.due_devices(conn):
                work.setdefault(device, [])
        started = 0
        for device, run_ids in work.items():
            if device not in self._busy:
                self._busy[device] = self._pool.submit(self._on_device, device, run_ids)
                started += 1
        return started

    def _on_device(self, device: str, run_ids: list[str]) -> None:
        """Everything that is due on one device, one after the other: it has few management sessions."""
        for run_id in run_ids:
            try:
                self.machine.perform(run_id)
            except (LeaseHeld, RunOver) as error:
                logs.get("reconciler").debug("left to another", device=device, why=str(error))
            except Exception as error:
                logs.get("reconciler").error("device run broke", device=device, error=repr(error))
        try:
            objects.perform(self.context, device)
        except Exception as error:
            logs.get("reconciler").error("subscriber objects broke", device=device, error=repr(error))


def _guarded(step: Callable[[], int]) -> int:
    """Run a step; a failure of the moment (database away) is logged and waited for, never fatal."""
    try:
        return step()
    except TrunklineError as error:
        logs.get("reconciler").warning("lane waits", why=str(error))
    except Exception as error:
        logs.get("reconciler").error("lane broke", error=repr(error))
    return 0
