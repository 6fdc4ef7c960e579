"""Nodes that are cut off, killed and revived in any order never give one address to two who are online."""

import contextlib
import random
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from aaa.accounting.record import START
from aaa.pools import keeping, ledger
from core.db import Database
from core.faults import FaultInjected
from tests.aaa.farm import Farm, failing

POINTS = [
    ledger.BEFORE_SYNC,
    ledger.AFTER_SYNC,
    ledger.AFTER_GIVE,
    ledger.REWRITTEN,
    keeping.LEASED_IN_DATABASE,
    keeping.RETURNED_IN_LEDGER,
]
SERVICES = [f"S-{number}" for number in range(30)]
services, indexes = st.sampled_from(SERVICES), st.integers(0, 3)


def machine_on(make_database) -> type[RuleBasedStateMachine]:  # noqa: C901  (rules, not branches)
    """The machine over a database that `make_database(folder)` gives, empty and migrated."""

    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.folder = Path(tempfile.mkdtemp())

        @initialize(seed=st.integers(0, 9999))
        def begin(self, seed: int) -> None:
            self.rng = random.Random(seed)
            self.farm = Farm(make_database(self.folder), self.folder / "nodes")
            self.farm.step()

        @rule(service=services, index=indexes, started=st.booleans(), reaches=st.booleans())
        def login(self, service: str, index: int, started: bool, reaches: bool) -> None:
            self.farm.stop(None, service)  # a redial: the old session is gone, and its Stop was lost
            worker = self.farm.workers[index]
            if self.farm.login(worker, service, reaches=reaches) and reaches and started:
                self.farm.tell(self.rng.choice(self.farm.nodes), service, START)

        @rule(index=indexes)
        def burst(self, index: int) -> None:
            for service in SERVICES[:12]:
                if service not in self.farm.live:
                    self.login(service, index, started=True, reaches=True)

        @rule(service=services, told=st.booleans())
        def hang_up(self, service: str, told: bool) -> None:
            self.farm.stop(self.rng.choice(self.farm.nodes) if told else None, service)

        @rule(index=st.integers(0, 1))
        def cut_or_mend(self, index: int) -> None:
            node = self.farm.nodes[index]
            node.line.cut = not node.line.cut
            node.drain()

        @rule(index=indexes, machine=st.booleans())
        def kill(self, index: int, machine: bool) -> None:
            self.farm.workers[index].kill(machine)

        @rule(index=indexes)
        def revive(self, index: int) -> None:
            self.farm.workers[index].start()

        @rule(point=st.sampled_from(POINTS), index=indexes, service=services, machine=st.booleans())
        def die_at(self, point: str, index: int, service: str, machine: bool) -> None:
            """Killed at a fault point, somewhere in a start, a round of keeping and a login."""
            worker = self.farm.workers[index]
            self.farm.stop(None, service)
            with failing(point), contextlib.suppress(FaultInjected):
                worker.start()
                worker.step()
                self.farm.login(worker, service)
                return
            worker.kill(machine)

        @rule(seconds=st.sampled_from([30, 90, 400, 1000]))
        def wait(self, seconds: int) -> None:
            self.farm.pass_time(seconds, self.rng)

        @rule()
        def keep(self) -> None:
            self.farm.step()

        def teardown(self) -> None:
            farm = getattr(self, "farm", None)
            if farm is not None:
                try:
                    farm.settle(self.rng)
                    assert farm.busy() == {}, "addresses that never come back"
                finally:
                    farm.close()
                    farm.db.close()
            shutil.rmtree(self.folder)

    return Machine


def run(make_database, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        machine_on(make_database),
        settings=settings(
            max_examples=examples, phases=[Phase.explicit, Phase.generate], stateful_step_count=steps,
            deadline=None, print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


def test_no_address_is_given_to_two_on_sqlite(sqlite_template):
    """Random logins, lost Stops and Starts, cut lines, kills at every fault point, dead machines; and all come back."""

    def fresh(folder: Path) -> Database:
        shutil.copy(sqlite_template, folder / "trunkline.db")
        return Database(f"sqlite:///{folder / 'trunkline.db'}", durable=False)

    run(fresh, examples=8, steps=30)


def test_no_address_is_given_to_two_on_postgresql(postgres):
    """The same over PostgreSQL, shorter."""
    with contextlib.ExitStack() as stack:

        def fresh(_folder: Path) -> Database:
            return Database(stack.enter_context(postgres.fresh_database()))

        run(fresh, examples=3, steps=25)
