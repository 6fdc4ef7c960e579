"""Deposits: taken on an invoice, held as a liability, applied, returned or forfeited."""
