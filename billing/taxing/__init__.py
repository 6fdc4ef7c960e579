"""What changes an account's tax: exemptions, surcharges, and an external tax engine."""
