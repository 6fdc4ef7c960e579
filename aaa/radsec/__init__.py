"""RADIUS over TLS (RFC 6614): NASes that come by certificate, and home servers that are asked so."""
