"""Drafts: what waits for a person, making it final early, and voiding it."""
