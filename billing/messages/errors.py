"""What can be wrong with messages."""

from core.errors import Terminal


class MessageUnknown(Terminal):
    """No such message."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"there is no message '{reference}'; 'trunkline billing messages list' shows them")


class MessageNotResent(Terminal):
    """One that nobody can send again."""

    def __init__(self, reference: str, why: str) -> None:
        super().__init__(f"message {reference} is not sent again: {why}")


class SmsNotUsable(Terminal):
    """The gateway as it is set up cannot be used."""

    def __init__(self, why: str) -> None:
        super().__init__(f"sms in trunkline.yaml: {why}")


class BatchUnknown(Terminal):
    """No such batch of letters."""

    def __init__(self, reference: str) -> None:
        super().__init__(
            f"there is no batch of letters '{reference}'; 'trunkline billing letters list' shows them"
        )


class FormUnknown(Terminal):
    """No such place for the address."""

    def __init__(self, form: str, known: str) -> None:
        super().__init__(f"'{form}' is no form of a letter; choose {known}")
