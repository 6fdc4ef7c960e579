"""What can go wrong in billing: nouns that carry the object and say what to do."""

from datetime import date

from core.errors import Terminal


class AccountUnknown(Terminal):
    """No such billing account."""

    def __init__(self, account: str) -> None:
        self.account = account
        super().__init__(
            f"there is no billing account '{account}'; 'trunkline customer list' shows the accounts"
        )


class AccountNotUsable(Terminal):
    """An account's terms make no sense."""

    status = 422

    def __init__(self, account: str, why: str) -> None:
        self.account = account
        super().__init__(f"account {account} is not usable: {why}")


class AccountTermsFixed(Terminal):
    """Terms that say what an account's amounts and days mean, once it has some."""

    def __init__(self, account: str, customer: str, terms: list[str], why: list[str]) -> None:
        super().__init__(
            f"account {account} keeps its {', '.join(terms)}: {'; '.join(why)}; "
            f"open another one with 'trunkline billing account open {customer}' and order services to it"
        )


class TimeZoneUnknown(Terminal):
    """Not a name of the IANA time zone database."""

    status = 422

    def __init__(self, name: str) -> None:
        super().__init__(f"'{name}' is no IANA time zone; write one such as Australia/Perth")


class InvoiceUnknown(Terminal):
    """No such invoice."""

    def __init__(self, invoice: str) -> None:
        super().__init__(f"there is no invoice '{invoice}'; 'trunkline billing invoices' lists them")


class InvoiceFinal(Terminal):
    """A final invoice never changes."""

    def __init__(self, number: str) -> None:
        super().__init__(f"invoice {number} is final and never changes; only a credit note corrects it")


class DraftBuiltOn(Terminal):
    """A draft cannot be voided: a later bill takes back something of it."""

    def __init__(self, invoice: str) -> None:
        super().__init__(f"draft {invoice} cannot be voided: a later bill corrects it; finalise both")


class ServiceNotBilled(Terminal):
    """A service has no subscription (it was never activated)."""

    def __init__(self, service: str) -> None:
        super().__init__(f"service {service} is not billed: its activation was never confirmed")


class PriceMissing(Terminal):
    """A plan has no price in force on a date in a currency; one in another currency is never converted."""

    status = 422

    def __init__(self, plan: str, on: date, currency: str) -> None:
        super().__init__(
            f"plan {plan} has no price on {on} in {currency}; add a price with `currency: {currency}` that starts by "
            f"then to catalog/plans/{plan}.yaml"
        )


class PriceCurrencyOther(Terminal):
    """A price version that was named is in another currency."""

    status = 422

    def __init__(self, plan: str, version: str, currency: str, wanted: str) -> None:
        super().__init__(
            f"price version '{version}' of plan {plan} is in {currency}, not in {wanted}; name one in {wanted}"
        )


class ContractCurrencyOther(Terminal):
    """A plan's contract has amounts of another currency than a price version of it, which says no contract itself."""

    def __init__(self, plan: str, version: str, currency: str, wanted: str) -> None:
        super().__init__(
            f"the contract of plan {plan} has its amount in {currency}, and price version '{version}' is in {wanted}; "
            f"say `contract` in that price version too, in {wanted}, in catalog/plans/{plan}.yaml"
        )


class PriceVersionUnknown(Terminal):
    """A plan has no such price version."""

    def __init__(self, plan: str, version: str) -> None:
        super().__init__(
            f"plan {plan} has no price version '{version}'; its file under catalog/plans lists them"
        )


class TaxRateMissing(Terminal):
    """No rate of a tax category applies on a date."""

    def __init__(self, profile: str, category: str, on: date) -> None:
        super().__init__(
            f"tax profile '{profile}' has no rate for '{category}' on {on}; "
            f"set one with 'trunkline billing tax {category} 10% --profile {profile}'"
        )


class TaxRateNotReadable(Terminal):
    """A text is no tax rate."""

    def __init__(self, text: str) -> None:
        super().__init__(f"'{text}' is no tax rate; write a percentage such as 10% or 8.875%")


class TaxNameEmpty(Terminal):
    """A rate of no category, or of no profile, is nobody's."""

    def __init__(self) -> None:
        super().__init__("a tax rate needs a category and a profile, such as gst and default")


class CurrencyWrong(Terminal):
    """Money of another currency than the account's."""

    def __init__(self, account: str, wanted: str, given: str) -> None:
        super().__init__(f"account {account} is kept in {wanted}, not in {given}; pay in {wanted}")


class AmountNotPayable(Terminal):
    """A payment of nothing or less."""

    def __init__(self, amount: object) -> None:
        super().__init__(f"{amount} cannot be paid; a payment is more than nothing")


class InvoiceOfAnother(Terminal):
    """A payer named an invoice of another account."""

    def __init__(self, invoice: str, owner: str, payer: str) -> None:
        super().__init__(f"invoice {invoice} is account {owner}'s, the payment {payer}'s: nothing was taken")


class PaymentKeyReused(Terminal):
    """One idempotency key stands for two different payments."""

    def __init__(self, key: str) -> None:
        super().__init__(f"payment key '{key}' already stands for another payment; use a new key")


class CreditKeyReused(Terminal):
    """One idempotency key stands for two different credit notes."""

    def __init__(self, note: str) -> None:
        super().__init__(f"this key already stands for another credit note ({note}); use a new key")


class KindUnknown(Terminal):
    """A line of a kind that the books do not know: a programming error."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"'{kind}' is no kind of line; billing/kinds.py has them")


class BillableUnlike(Terminal):
    """One source stands for two different things to bill."""

    def __init__(self, source: str) -> None:
        super().__init__(
            f"'{source}' was billed with another amount or to another account; correct it by a revision"
        )


class PolicyNotUsable(Terminal):
    """A dunning policy makes no sense."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"dunning policy '{name}' is not usable: {why}")


class PromiseNotUsable(Terminal):
    """A promise to pay by a date that has passed."""

    def __init__(self, account: str, until: date) -> None:
        super().__init__(f"account {account} cannot promise to pay by {until}: that day has passed")


class TimelineNotUsable(Terminal):
    """An event does not fit into a subscription's timeline."""

    def __init__(self, service: str, why: str) -> None:
        super().__init__(f"service {service}: {why}")


class LedgerUnbalanced(Terminal):
    """A ledger transaction does not add up to zero: a programming error that must not reach the books."""

    def __init__(self, source: str, currency: str, rest: int) -> None:
        super().__init__(f"ledger transaction of {source} is off by {rest} minor units of {currency}")


class NotCreditable(Terminal):
    """Something that cannot be credited."""

    def __init__(self, invoice: str, why: str) -> None:
        super().__init__(f"{invoice} cannot be credited: {why}")


class RunUnknown(Terminal):
    """No such bill run or dunning run."""

    status = 404

    def __init__(self, run: str) -> None:
        super().__init__(
            f"there is no run '{run}'; 'trunkline billing runs' lists them with their ids (bill_… or dun_…)"
        )


class LedgerAccountUnknown(Terminal):
    """An account of the books that the chart does not have: a programming error, told before anything is written."""

    def __init__(self, ledger: str) -> None:
        super().__init__(f"the chart of accounts has no '{ledger}'; billing/books/chart.py gives it a type")
