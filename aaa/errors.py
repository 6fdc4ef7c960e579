"""What can go wrong in AAA, in sentences for the operator."""

from core.errors import Retryable, Terminal


class AttributeTooLong(Terminal):
    """A RADIUS attribute's value does not fit into its length octet."""

    def __init__(self, name: str, length: int) -> None:
        super().__init__(
            f"RADIUS attribute {name} would be {length} octets long; 253 is the limit (RFC 2865)"
        )


class VendorNotKnown(Terminal):
    """A device intent names a NAS vendor that has no table in aaa/vendors."""

    def __init__(self, vendor: str, known: list[str]) -> None:
        super().__init__(f"NAS vendor '{vendor}' has no table in aaa/vendors; known are {', '.join(known)}")


class VendorTableNotUsable(Terminal):
    """A vendor table has a mistake."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"vendor table {path} is not usable: {why}")


class ViewFileNotUsable(Terminal):
    """The mapped view file is damaged or of another version."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(
            f"view file {path} is not usable: {why}; it is derived: delete it and start again with the database there, "
            "or copy another node's"
        )


class ViewNotThere(Retryable):
    """A node has neither a database nor a snapshot to start from."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"neither the derived database nor the snapshot {path} can be read: this node knows no subscriber; "
            "bring the database back or copy a snapshot from another node"
        )


class ViewNotBuilt(Retryable):
    """The derived database was made anew and its first build is not done."""

    def __init__(self) -> None:
        super().__init__("the view is being built anew; the last snapshot answers meanwhile")


class SecretNotOpenable(Terminal):
    """A sealed secret cannot be opened with the key that this node holds."""

    def __init__(self, place: str) -> None:
        super().__init__(f"the secret at {place} cannot be opened with this node's key; check the key file")


class KeyNotUsable(Terminal):
    """A key file of a node cannot be read, or is no key."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(
            f"the key file {path} is not usable: {why}; bring it back from a backup, or from another node of "
            "this installation (`trunkline radius node join`)"
        )


class PortNotFree(Terminal):
    """A RADIUS port is taken by somebody else."""

    def __init__(self, address: str, port: int, why: str, stream: bool = False) -> None:
        kind, setting = (
            ("TCP", "radius_radsec_port") if stream else ("UDP", "radius_auth_port/radius_acct_port")
        )
        super().__init__(f"{kind} port {port} on {address} cannot be bound: {why}; set {setting}")


class ViewIsForeign(Terminal):
    """The view was sealed with another installation's view key."""

    def __init__(self, where: str, ours: str) -> None:
        super().__init__(
            f"the view in {where} is sealed with another view key than this node's ({ours}): nothing of it is used, as "
            "no password would open; give this node the installation's view.key (`trunkline radius node join`)"
        )


class LedgerInUse(Retryable):
    """Another process has this worker's address ledger."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is in use by another process of this node; it ends first")


class Dropped(Exception):
    """A packet gets no answer; the reason is counted."""


class CertificateNotUsable(Terminal):
    """A certificate or key for RADIUS over TLS is missing or damaged."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(
            f"RADIUS certificate {path} is not usable: {why}; put ca.pem, server.pem and server.key there"
        )


class MetricsPortNotFree(Terminal):
    """The port of a node's metrics is taken by somebody else."""

    def __init__(self, address: str, port: int, why: str) -> None:
        super().__init__(f"TCP port {port} on {address} cannot be bound: {why}; set radius_metrics_port")


class CertificateNotMade(Terminal):
    """A certificate for EAP or RadSec cannot be made or taken back."""
