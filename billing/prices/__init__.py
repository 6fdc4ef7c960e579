"""Price changes: what one would do, and moving those who have an older price version (invariant 34: only when asked)."""
