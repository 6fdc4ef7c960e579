"""The kind `automation`."""
