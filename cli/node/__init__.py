"""A node that only answers RADIUS: how it is set up, started, drained and forgotten."""
