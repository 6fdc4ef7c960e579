"""The bill run as an engine: whole chunks of accounts in SQL, what is odd in Python, numbers in one ordered pass."""
