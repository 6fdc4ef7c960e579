"""Ending a session through its device's driver: for NASes that take no Disconnect-Request."""

from aaa.accounting.merge import Session
from core.errors import TrunklineError
from drivers import registry
from drivers.contract import LiveSession
from inventory.resolve import resolve_device
from reconciler.context import Context
from reconciler.targets import target_of


def end_session(context: Context, session: Session) -> bool:
    """Log in to the session's NAS and see to it that it is gone; False when the NAS is out of reach or refuses."""
    with context.reader() as reader:
        model = resolve_device(reader, session.nas)
        target = target_of(model, reader.get("config", "trunkline"), context.secrets, context.keys)
    live = LiveSession(
        session_id=session.acct_session_id.decode("latin-1"), login=session.login,
        interface=session.nas_port_id, address=session.framed_address, calling_station=session.calling,
    )  # fmt: skip
    try:
        with registry.opened(target) as driver:
            driver.end_session(live)  # False: the device has no such session, which is as good
    except TrunklineError:
        return False
    return True
