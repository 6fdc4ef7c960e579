"""RADIUS on the wire: packets, credentials, the server's workers, and a client."""
