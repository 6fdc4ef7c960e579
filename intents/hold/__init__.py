"""The kind `hold`."""
