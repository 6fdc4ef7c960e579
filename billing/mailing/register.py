"""What this folder registers: its tables."""

import billing.mailing.models  # noqa: F401
