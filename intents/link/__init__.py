"""The kind `link`."""
