"""The kind `service`."""
