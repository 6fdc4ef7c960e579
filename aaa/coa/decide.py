"""What a live session needs to get from its policy to the wanted one, by vendor. Pure."""

from typing import Literal

import msgspec

from aaa.vendors.policy import GARDEN, Policy, changed, hash_of
from aaa.vendors.registry import Vendor, change_block, vendor

How = Literal["none", "coa", "disconnect", "end-session"]


class Action(msgspec.Struct, frozen=True):
    """How to correct a session. `attributes` are the CoA's on the wire; `why` is for people."""

    how: How
    attributes: bytes = b""
    why: str = ""


def decide(old: Policy | None, new: Policy | None, nas_vendor: str) -> Action:
    """CoA where the vendor can change exactly these aspects, Disconnect where it cannot, the driver's `end_session`
    where the NAS takes no request. `old` None: nobody knows what the session has; `new` None: it must end.
    Raises VendorNotKnown.
    """
    table = vendor(nas_vendor)
    if new is None:
        return _ended(table, "the service is blocked or gone")
    if old is None:
        return _ended(table, "its present policy is not known")
    aspects = changed(old, new)
    if not aspects:
        return Action("none")
    if GARDEN in aspects and new.garden and new.vrf == old.vrf:
        # The filter holds until the next login, which brings the garden's own address. Never the other way round:
        # who logged in inside the garden has its address, and has to log in again to get out.
        aspects -= set(table.coa.closes)
    told = ", ".join(sorted(aspects))
    blocks = {aspect: change_block(nas_vendor, old, new, {aspect}) for aspect in sorted(aspects)}
    if aspects <= set(table.coa.change) and all(blocks.values()):
        return Action("coa", b"".join(blocks.values()), f"{told} can change while it lives")
    return _ended(table, f"{told} cannot change while it lives")


def _ended(table: Vendor, why: str) -> Action:
    return Action("disconnect" if table.coa.disconnect else "end-session", why=why)


__all__ = ["Action", "How", "decide", "hash_of"]
