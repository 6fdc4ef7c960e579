"""The kind `site`."""
