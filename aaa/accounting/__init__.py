"""Accounting: read a record, merge it into its session, and answer only what is durable (RFC 2866)."""
