"""The tables of refunds, chargebacks and receipts are known from here on."""

import billing.refunding.models  # noqa: F401
