"""Price changes: what one would do, and moving those who have an older price version; only when asked."""
