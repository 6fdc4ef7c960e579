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


class ComparedSecrets:
    """Masks for two renderings that are compared: use it for the old one, `after()` for the new one.

    A value that was sealed anew in between shows as `<secret:path#key:sealed-anew>`: the clear text may be another.
    """

    def __init__(self, known: dict[tuple[str, str], str] | None = None) -> None:
        self._seen: dict[tuple[str, str], str] = {}
        self._known = known

    def after(self) -> "ComparedSecrets":
        """The masks of the newer rendering."""
        return ComparedSecrets(self._seen)

    def open(self, sealed: str, path: str, key: str) -> str:
        """A mask; text that is not sealed comes back as it is."""
        self._seen[path, key] = sealed
        if not crypto.is_sealed(sealed):
            return sealed
        anew = self._known is not None and self._known.get((path, key), sealed) != sealed
        return f"<secret:{path}#{key}:sealed-anew>" if anew else f"<secret:{path}#{key}>"
