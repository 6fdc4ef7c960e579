"""What rating registers: its tables."""

import billing.rating.models  # noqa: F401
