"""The kind `offer`."""
