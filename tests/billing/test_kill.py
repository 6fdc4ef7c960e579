"""Invariant 2 with SIGKILL: whatever step billing dies at, doing it again ends like an undisturbed day."""

import pytest

from billing import billrun, canonical, dunning, payments
from billing.runs import numbering
from core.db import Database
from tests.billing.doomed import live
from tests.billing.stage import Stage, all_sets, changes_of
from tests.faults_matrix import KILLED, run_child

POINTS = [
    billrun.P_CHUNK,
    billrun.P_DRAFTS,
    numbering.P_NUMBER,
    numbering.P_STRETCH,
    dunning.P_RUN,
    payments.P_PAID,
]


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_and_run_again_nothing_is_lost_or_done_twice(database: Database, point: str):
    """Books, holds and releases equal those of an account that was never disturbed."""
    killed, calm = Stage(database), Stage(database)
    arguments = [killed.account, killed.add(), killed.entity]
    assert _live_and_die(database, point, arguments) == KILLED
    live(database, *arguments)
    calm_arguments = [calm.account, calm.add(), calm.entity]
    live(database, *calm_arguments)
    with database.read() as conn:
        one, other = (canonical.export(conn, stage.account) for stage in (killed, calm))
    assert _anonymous(one, killed) == _anonymous(other, calm)
    assert _operations(database) == ["put", "delete", "put", "delete"]


def _live_and_die(database: Database, point: str, arguments: list[str]) -> int:
    url = database.url.render_as_string(hide_password=False)
    return run_child("tests.billing.doomed", [url, *arguments], point).returncode


def _operations(database: Database) -> list[str]:
    return [change.op for row in all_sets(database) for change in changes_of(database, row.set_id)]


def _anonymous(text: str, stage: Stage) -> str:
    named = text.replace(stage.account, "ACCOUNT").replace(f"S-{stage.number}-", "S-N-")
    return "\n".join(sorted(named.replace(stage.entity, "ENTITY").splitlines()))
