"""The kind `policy`."""
