"""The kind `pool`."""
