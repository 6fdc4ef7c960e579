"""The tables of bank files are known from here on."""

import billing.bank.models  # noqa: F401
