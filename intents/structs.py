"""The base of every structure in an intent: frozen, kebab-case keys, unknown keys refused."""

import msgspec


class Intent(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """A mapping in a file. Attributes are the keys in snake_case; a key that is a Python word ends in `_`."""
