"""Limits that are recorded, not declared: fair use, schedules, prepaid, vouchers, simultaneous use, overrides.

One row `(service, cause)` says what is so now; the view is compiled from intents and these rows.
"""

from aaa.limits.quota import grant

__all__ = ["grant"]
