"""What the inventory offers to the others on import: its tables and its checks."""

import inventory.checks
import inventory.models

__all__ = ["inventory"]
