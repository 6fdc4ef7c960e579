"""The kind `edge`."""
