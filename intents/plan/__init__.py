"""The kind `plan`."""
