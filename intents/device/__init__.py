"""The kind `device`."""
