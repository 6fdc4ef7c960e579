"""Addresses that nodes give themselves: blocks leased to a worker, what is given from them, and when it comes back."""
