"""What this folder registers: its tables."""

import billing.offers.models  # noqa: F401
