"""What can go wrong with wallets, vouchers and prepaid services."""

from datetime import date

from core.errors import Terminal


class WalletTooSmall(Terminal):
    """More is to be taken out than there is."""

    def __init__(self, account: str, wanted: object, there: object) -> None:
        super().__init__(f"the wallet of {account} has {there}, less than {wanted}; top it up first")


class NotPrepaid(Terminal):
    """A service that is no prepaid one."""

    def __init__(self, service: str) -> None:
        super().__init__(
            f"service {service} is not prepaid; 'trunkline billing prepaid list' shows those that are"
        )


class PrepaidNotUsable(Terminal):
    """Something that a prepaid service cannot do."""

    def __init__(self, service: str, why: str) -> None:
        super().__init__(f"prepaid service {service}: {why}")


class VoucherNotUsable(Terminal):
    """A voucher that cannot be redeemed; the sentence never says the code again."""

    def __init__(self, why: str) -> None:
        super().__init__(f"this voucher cannot be redeemed: {why}")


class GuessesTooMany(Terminal):
    """Somebody tries codes."""

    def __init__(self, account: str, minutes: int) -> None:
        super().__init__(
            f"too many codes that no voucher has were tried for {account}; try again in {minutes} minutes"
        )


class BatchUnknown(Terminal):
    """No such batch of vouchers."""

    def __init__(self, batch: str) -> None:
        super().__init__(
            f"there is no batch of vouchers '{batch}'; 'trunkline billing voucher list' shows them"
        )


class BatchNotUsable(Terminal):
    """A batch that cannot be made, sold or voided as asked."""

    def __init__(self, batch: str, why: str) -> None:
        super().__init__(f"batch of vouchers '{batch}': {why}")


def past(day: date) -> str:
    """The end of a sentence about a last day."""
    return f"its last day, {day}, has passed"
