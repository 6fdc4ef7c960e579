"""Calls: a carrier's records in, rated by prefix, on the bill with every call accounted for."""
