"""Changing and ending live sessions: CoA and Disconnect (RFC 5176), and which of them a change needs."""
