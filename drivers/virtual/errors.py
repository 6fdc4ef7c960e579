"""What the virtual device answers when it does not do what it was told."""


class Refused(Exception):
    """A command is not carried out; `str()` is the device's answer."""
