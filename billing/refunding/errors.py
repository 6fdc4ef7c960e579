"""What can go wrong with a payment that is there."""

from core.errors import Terminal


class PaymentUnknown(Terminal):
    """No such payment."""

    def __init__(self, payment: str) -> None:
        super().__init__(f"there is no payment '{payment}'; 'trunkline billing payments ACCOUNT' lists them")


class NotRefundable(Terminal):
    """A refund that cannot be."""

    def __init__(self, payment: str, why: str) -> None:
        super().__init__(f"payment {payment} cannot be refunded: {why}")


class NotChargeable(Terminal):
    """A chargeback of more than there is, or of what was never captured."""

    def __init__(self, payment: str, why: str) -> None:
        super().__init__(f"payment {payment} cannot be charged back: {why}")


class NotAllocated(Terminal):
    """An allocation that cannot be made or taken back."""

    def __init__(self, payment: str, invoice: str, why: str) -> None:
        super().__init__(f"payment {payment} and invoice {invoice}: {why}")


class NotMovable(Terminal):
    """A payment that cannot go to another account, or be voided."""

    def __init__(self, payment: str, what: str, why: str) -> None:
        super().__init__(f"payment {payment} cannot be {what}: {why}")


class RefundUnknown(Terminal):
    """No such refund."""

    def __init__(self, refund: str) -> None:
        super().__init__(f"there is no refund '{refund}'; 'trunkline billing payments ACCOUNT' shows refunds")


class ChargebackUnknown(Terminal):
    """No such chargeback."""

    def __init__(self, chargeback: str) -> None:
        super().__init__(
            f"there is no chargeback '{chargeback}'; 'trunkline billing payments ACCOUNT' shows them"
        )


class RuleUnknown(Terminal):
    """No such rule of allocation."""

    def __init__(self, rule: str, rules: tuple[str, ...]) -> None:
        super().__init__(f"'{rule}' is no rule of allocation; choose one of {', '.join(rules)}")
