"""What the papers register: their tables."""

import billing.papers.models  # noqa: F401
