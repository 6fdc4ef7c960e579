"""What price changes register: their section in the preview of a pull request."""

import billing.prices.section  # noqa: F401  (registers itself)
