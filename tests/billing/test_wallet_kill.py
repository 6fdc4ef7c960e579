"""Invariant 2 with SIGKILL for prepaid, deposits and the agenda: done again, the day ends like an undisturbed one."""

from datetime import UTC, date, datetime

import pytest

from billing import canonical, payments
from billing.billrun import run_billing
from billing.deposits import deposits
from billing.wallet import running, topping
from core import clock
from core.db import Database
from core.money import Money
from crm.changes import performing, plans
from tests.billing.doomed_wallet import live
from tests.billing.stage import all_sets
from tests.billing.test_wallet import Shop
from tests.faults_matrix import KILLED, run_child

POINTS = [
    topping.P_TOPPED,
    running.P_BOUGHT,
    running.P_HELD,
    deposits.P_MOVED,
    performing.P_CARRIED,
]
EARLY = date(2026, 1, 1)


def prepared(database: Database) -> tuple[Shop, list[str]]:
    """A lapsed prepaid service, a paid deposit, an open invoice, a plan change that is agreed."""
    shop = Shop(database)
    with clock.frozen(datetime(2026, 1, 31, 4, tzinfo=UTC)):
        paid = shop.open()
        with database.write() as conn:
            deposit = deposits.take(
                conn, shop.account, Money(20_000, "AUD"), f"{shop.entity}:d", actor="t", on=EARLY
            )
        run_billing(database, shop.reader, EARLY)
        with database.write() as conn:
            payments.pay(conn, shop.account, Money(20_000, "AUD"), "cash", f"{shop.entity}:p", on=EARLY)
        service = shop.add(EARLY)
        run_billing(database, shop.reader, EARLY)
        with database.write() as conn:
            entry = plans.ask(conn, shop.reader, service, "slow", "2026-02-20", actor="t")
    return shop, [shop.account, paid, service, deposit, entry.id, f"{shop.entity}:t"]


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_and_done_again_nothing_is_lost_or_done_twice(database: Database, point: str):
    """Books, wallet, deposit and change sets equal those of an account that was never disturbed."""
    (killed, arguments), (calm, others) = prepared(database), prepared(database)
    url = database.url.render_as_string(hide_password=False)
    assert run_child("tests.billing.doomed_wallet", [url, *arguments], point).returncode == KILLED
    live(database, *arguments)
    live(database, *others)
    with database.read() as conn:
        one, other = (canonical.export(conn, stage.account) for stage in (killed, calm))
        held = [deposits.listed(conn, stage.account)[0].held.minor for stage in (killed, calm)]
    assert _anonymous(one, killed) == _anonymous(other, calm)
    assert held == [11_310, 11_310]
    assert (killed.left(), calm.left()) == ("AUD 0.00", "AUD 0.00")
    reasons = [row.reason for row in all_sets(database)]
    assert sorted(reasons) == ["plan-change"] * 2 + ["prepaid"] * 2


def _anonymous(text: str, stage: Shop) -> str:
    named = text.replace(stage.account, "ACCOUNT").replace(f"S-{stage.number}-", "S-N-")
    lines = named.replace(stage.entity, "ENTITY").splitlines()
    return "\n".join(sorted(_without_ids(line) for line in lines))


def _without_ids(line: str) -> str:
    import re

    return re.sub(r"dep_[0-9A-Z]{26}", "DEPOSIT", line)
