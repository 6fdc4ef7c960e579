"""Deposits have tables; nothing is heard."""

import billing.deposits.models  # noqa: F401
