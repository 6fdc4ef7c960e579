"""EAP over RADIUS: PEAP, TTLS and TLS for access points and 802.1X (RFC 3579, 3748)."""
