"""What can go wrong with wallets, vouchers and prepaid services."""

from datetime import date

from core.errors import Terminal


class WalletTooSmall(Terminal):
    """More is to be taken out than there is."""

    def __init__(self, account: str, wanted: object, there: object) -> None:
        super().__init__(f"the wallet of {account} has {there}, less than {wanted}; top it up first")


class TopUpUnknown(Terminal):
    """No such top-up."""

    def __init__(self, key: str) -> None:
        super().__init__(f"there is no top-up with key '{key}'; 'trunkline billing wallet show' lists them")


class TopUpNotReturned(Terminal):
    """A chargeback that cannot be."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"top-up {key} is not charged back: {why}")


class BreakageNotUsable(Terminal):
    """A rule, or money to give back, that cannot be."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"breakage of {what}: {why}")


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


class RedemptionRefused(Terminal):
    """A redemption over HTTP that is refused: one sentence for everything."""

    status = 422

    def __init__(self) -> None:
        super().__init__("this voucher cannot be redeemed for this account; look at both again, or ask us")


class RedemptionsTooMany(Terminal):
    """Too many redemptions failed from an address or for an account."""

    status = 429

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(f"too many vouchers were refused; try again in {seconds // 60} minutes")


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
