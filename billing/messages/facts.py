"""What a message is about. Pure."""

from datetime import date

import msgspec

from core.money import Money

REMINDER, ANNOUNCE, NOTICE = "reminder", "announce", "notice"
E_MAIL, SMS, LETTER = "e-mail", "sms", "letter"
CHANNELS = (E_MAIL, SMS, LETTER)
"""Channels that we send by ourselves; the list of `call` is for people."""


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`amount` in minor units; `due`: of the oldest invoice. For an announcement: `day` of the debit, `by` what."""

    amount: int
    currency: str
    invoices: tuple[str, ...]
    due: date
    name: str = ""
    day: date | None = None
    by: str = ""

    @property
    def money(self) -> Money:
        """The amount."""
        return Money(self.amount, self.currency)
