"""Asking another RADIUS server: proxied realms, and the old server of those who have not moved in yet (RFC 2865)."""
