"""When to try again: by what the bank said, a clock apart from dunning. Pure."""

from datetime import date, timedelta

import msgspec

HARD = frozenset(
    {
        "stolen_card", "lost_card", "pickup_card", "invalid_account", "account_closed", "fraudulent",
        "do_not_try_again", "expired_card", "incorrect_number", "revocation_of_authorization",
        "revocation_of_all_authorizations",
        "restricted_card", "authentication_required", "mandate_cancelled", "cancelled", "customer_approval_denied",
        "authorisation_disputed", "bank_account_transferred",
    }
)  # fmt: skip
"""Declines after which no later try by this method can succeed: the customer is asked instead (codes as Stripe names
them, causes as GoCardless does). `refer_to_payer` is none of them: most often it is a lack of funds.
"""


class Schedule(msgspec.Struct, frozen=True):
    """Days after the last try; at most `len(pauses) + 1` tries within `within` days of the first.

    Without money on the account a pay day may help: the next 1st or 15th, if that is no more than a week further.
    """

    pauses: tuple[int, ...] = (2, 3, 5, 7)
    within: int = 28
    pay_days: tuple[int, ...] = (1, 15)


SCHEDULE = Schedule()


def next_day(code: str, first: date, last: date, tries: int, schedule: Schedule = SCHEDULE) -> date | None:
    """The day of the next try after `tries` that failed; None: none, by itself.

    `first`: when the first one was planned; `last`: when it was known that the last one had failed.
    """
    if code in HARD or tries > len(schedule.pauses):
        return None
    day = last + timedelta(days=schedule.pauses[tries - 1])
    if code == "insufficient_funds":
        reachable = [day + timedelta(days=more) for more in range(8)]
        day = next((one for one in reachable if one.day in schedule.pay_days), day)
    return day if (day - first).days <= schedule.within else None
