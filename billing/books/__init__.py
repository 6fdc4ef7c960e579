"""What accountants ask of the ledger: balances, aged receivables, journals in forms that other programs read."""
