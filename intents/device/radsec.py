"""The name that a RadSec peer is known by: its certificate's, or the certificate's fingerprint, in one spelling."""

import re

_FINGERPRINT = re.compile(r"(?:sha256:)?([0-9a-f]{2}(?::?[0-9a-f]{2}){31})")


def radsec_name(text: str) -> str:
    """A host name in lower case without a last dot; a SHA-256 fingerprint as `sha256:` and 64 hex digits."""
    plain = text.lower().rstrip(".")
    found = _FINGERPRINT.fullmatch(plain)
    return f"sha256:{found[1].replace(':', '')}" if found else plain
