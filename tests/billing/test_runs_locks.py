"""A bill run beside whoever locks several accounts: nobody waits for ever."""

import threading
from datetime import date
from typing import Any

import pytest

from billing import accounts
from billing.billrun import run_billing
from billing.runs import numbering
from core.db import Database
from tests.billing.stage import START, Stage
from tests.support import eventually


def test_whoever_holds_an_account_of_an_earlier_stretch_gets_one_of_a_later(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    """It holds the first account, so that the second stretch waits for the first with its own accounts locked; then it
    wants the second: it gets that, and the run gives all its numbers without a gap.
    """
    if database.is_sqlite:
        pytest.skip("one writer: no stretch waits for another")
    monkeypatch.setattr(numbering, "_PATIENCE", 0.3)
    waiting = threading.Event()
    book = numbering._book

    def noted(*args: Any) -> None:
        book(*args)
        waiting.set()

    monkeypatch.setattr(numbering, "_book", noted)
    stages = [Stage(database) for _ in range(2)]
    with database.write() as conn:
        for one in stages[1:]:
            accounts.change(conn, one.account, legal_entity=stages[0].entity, actor="t")
    for one in stages:
        one.add(START)
        run_billing(database, one.reader, date(2026, 1, 1), finalise=False)
    done = threading.Event()

    def run() -> None:
        numbering.finalise(database, 1, workers=2)
        done.set()

    first, second = sorted(one.account for one in stages)
    with database.write() as conn:
        accounts.lock(conn, first)
        threading.Thread(target=run, daemon=True).start()
        assert waiting.wait(10)  # the second stretch is booked, its account locked
        accounts.lock(conn, second)
    eventually(done.is_set, cap=20)
    sequences = sorted(document.sequence for one in stages for document in one.invoices())
    assert sequences == [1, 2]
