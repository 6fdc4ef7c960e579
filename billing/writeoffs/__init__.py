"""Debts that are given up: bad debts with or without tax relief, residues, and what is recovered of them later."""
