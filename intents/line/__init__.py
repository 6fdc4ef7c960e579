"""The kind `line`."""
