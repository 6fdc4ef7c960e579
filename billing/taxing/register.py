"""What this folder registers: its tables."""

import billing.taxing.models  # noqa: F401
