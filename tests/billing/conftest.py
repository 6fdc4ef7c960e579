"""What tests of prices share."""

from datetime import date

import pytest

from billing.prices import reading


@pytest.fixture
def today(monkeypatch: pytest.MonkeyPatch) -> date:
    """The operator's today: 10 February 2026."""
    day = date(2026, 2, 10)
    monkeypatch.setattr(reading, "today", lambda _: day)
    return day
