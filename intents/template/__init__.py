"""The kind `template`."""
