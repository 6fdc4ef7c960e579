"""What can be wrong with mail."""

from core.errors import Retryable, Terminal


class MailUnknown(Terminal):
    """No such message."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"there is no mail about '{reference}'; 'trunkline billing mail list' shows them")


class MailNotSetUp(Terminal):
    """There is no mail server."""

    def __init__(self) -> None:
        super().__init__("there is no mail server; write one under mail in trunkline.yaml")


class NotNow(Retryable):
    """The server is away, or says to come again."""

    def __init__(self, reply: str) -> None:
        self.reply = reply
        super().__init__(f"mail is not taken now: {reply}")


class Refused(Terminal):
    """The server refuses the message for good; `recipient`: because of the address."""

    def __init__(self, reply: str, *, recipient: bool) -> None:
        self.reply, self.recipient = reply, recipient
        super().__init__(f"mail is refused: {reply}")
