"""What calls register: their tables."""

import billing.calls.models  # noqa: F401
