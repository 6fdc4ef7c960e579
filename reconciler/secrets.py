"""Opening sealed values for a rendering that goes to a device, and masking them for one that people see."""

from core import crypto


class OpenSecrets:
    """Opens with the repository's data key. Raises core.crypto.SecretNotReadable."""

    def __init__(self, key: crypto.DataKey) -> None:
        self._key = key

    def open(self, sealed: str, path: str, key: str) -> str:
        """The clear text of the value at `key` of the document at `path`."""
        return crypto.open_(self._key, sealed, path, key)


class MaskedSecrets:
    """What preview, CI and plans get: `<secret:path#key>` in the place of every sealed value."""

    def open(self, sealed: str, path: str, key: str) -> str:
        """A mask; text that is not sealed comes back as it is."""
        return f"<secret:{path}#{key}>" if crypto.is_sealed(sealed) else sealed
