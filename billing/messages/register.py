"""What this folder registers: its tables. Jobs that send are put together where secrets can be opened."""

import billing.messages.models  # noqa: F401
