"""What the issue wants to be seen, proven through the whole installation."""
