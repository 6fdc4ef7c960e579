"""Which day is meant: a date, now, or the end of the period."""

from datetime import date, timedelta

from billing.accounts import Account
from billing.agenda.errors import NotAgreeable
from billing.periods import Cadence
from billing.subscriptions import Item
from billing.timeline import state_on
from core import days

NOW, PERIOD_END = "now", "period-end"


def day_of(owner: Account, item: Item, at: str, paid_until: date | None = None) -> date:
    """The local day of `now`, `period-end` or a date as text (2026-03-01). Raises NotAgreeable.

    At the end of a period the new state has the first day after it; where change days are the old state's, the day
    before, which is then the old one's last. `paid_until`: the end of a prepaid period.
    """
    if at == NOW:
        return owner.today
    if at != PERIOD_END:
        try:
            day = date.fromisoformat(at)
        except ValueError:
            raise NotAgreeable(
                item.service, f"'{at}' is no day; write 2026-03-01, now or period-end"
            ) from None
        if why := days.why_not(day):
            raise NotAgreeable(item.service, why)
        return day
    end = paid_until or _end(owner, item)
    return end if owner.change_day == "new" or paid_until else end - timedelta(days=1)


def started_on(item: Item) -> date | None:
    """The first day of its timeline."""
    return min((event.effective for event in item.events), default=None)


def _end(owner: Account, item: Item) -> date:
    terms = state_on(item.events, owner.today).terms
    if terms is None:
        raise NotAgreeable(item.service, "it is not billed today, so no period ends; name a date")
    return Cadence(owner.anchor, terms.months, item.cadence_base).containing(owner.today).end
