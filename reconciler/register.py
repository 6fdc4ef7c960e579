"""What the reconciler offers to the others on import: its tables and its preview."""

import reconciler.models
import reconciler.preview

__all__ = ["reconciler"]
