"""Who is on the network behind a device right now: sessions of a BNG, stations of an AP. A restart forgets them."""

from collections.abc import Callable

from drivers.contract import LiveSession
from drivers.virtual.errors import Refused


class Sessions:
    """The live sessions of a BNG. `on_end` is called with every session that the device ends itself."""

    def __init__(self) -> None:
        self.live: dict[str, LiveSession] = {}
        self.on_end: Callable[[LiveSession], None] = lambda _session: None

    def open(self, session: LiveSession) -> None:
        """A subscriber came up (the NAS stand-in calls this after an Access-Accept)."""
        self.live[session.session_id] = session

    def close(self, session_id: str) -> LiveSession | None:
        """A subscriber went away by itself; None when there was no such session."""
        return self.live.pop(session_id, None)

    def clear(self, session_id: str) -> None:
        """End a session from the device's side and tell `on_end`."""
        session = self.close(session_id)
        if session is None:
            raise Refused(f"there is no session {session_id}")
        self.on_end(session)
