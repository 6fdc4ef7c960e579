"""Kinds of lines: what each is for, and where it stands in the books."""

import msgspec


class Kind(msgspec.Struct, frozen=True):
    """`ledger` is credited with what a line of the kind is without tax; `accrues`: over the line's period."""

    ledger: str
    accrues: bool = False


KINDS = {
    "recurring": Kind("revenue:recurring", accrues=True),
    "rental": Kind("revenue:rental", accrues=True),
    "discount": Kind("revenue:discounts", accrues=True),
    "setup": Kind("revenue:install"),
    "one-off": Kind("revenue:one-off"),
    "surcharge": Kind("revenue:surcharges", accrues=True),
    "usage": Kind("revenue:usage"),
    "commitment": Kind("revenue:recurring"),
    "termination": Kind("revenue:termination"),
    "late-fee": Kind("revenue:late-fees"),
    "chargeback-fee": Kind("revenue:chargeback-fees"),
    "goodwill": Kind("revenue:goodwill"),
    "deposit": Kind("deposits"),
    "top-up": Kind("wallet"),
}
"""By name, as `invoice_line.kind` and `billable.kind` have it."""

DEFERRED = "deferred:"
"""Before a revenue account's name: what is billed for days to come (`deferred:revenue:recurring`)."""
