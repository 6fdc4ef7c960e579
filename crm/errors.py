"""What can go wrong in CRM: nouns that carry the object and say what to do."""

from collections.abc import Iterable

from core.errors import Terminal


class CustomerUnknown(Terminal):
    """No such customer."""

    def __init__(self, customer: str) -> None:
        super().__init__(f"there is no customer '{customer}'; 'trunkline customer list' shows them")


class NameMissing(Terminal):
    """A customer without a name could not be told from another."""

    def __init__(self) -> None:
        super().__init__("a customer needs a name of at least one character")


class OrderUnknown(Terminal):
    """No such order."""

    def __init__(self, order: str) -> None:
        super().__init__(f"there is no order '{order}'; 'trunkline customer show' lists a customer's orders")


class OrderStateWrong(Terminal):
    """An order cannot go from its state to the wanted one."""

    def __init__(self, order: str, state: str, wanted: str, allowed: Iterable[str]) -> None:
        after = ", ".join(sorted(allowed)) or "nothing"
        super().__init__(f"order {order} is {state} and cannot become {wanted}; after {state} comes {after}")


class PlanUnknown(Terminal):
    """No such plan."""

    def __init__(self, plan: str, known: Iterable[str]) -> None:
        super().__init__(f"there is no plan '{plan}'; the catalogue has {', '.join(known) or 'none'}")


class NotOrderable(Terminal):
    """An order cannot be provisioned as it is."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what} cannot be ordered: {why}")


class AccountNotTheirs(Terminal):
    """A billing account of somebody else."""

    def __init__(self, account: str, customer: str) -> None:
        super().__init__(f"account {account} does not belong to customer {customer}")


class DataKeyNeeded(Terminal):
    """A secret must be sealed and there is no key."""

    def __init__(self) -> None:
        super().__init__(
            "a login's password can only be sealed with the data key; run 'trunkline secret init'"
        )


class ServiceUnknown(Terminal):
    """No such service in the repository."""

    def __init__(self, service: str) -> None:
        super().__init__(f"there is no service '{service}' in the network repository")
