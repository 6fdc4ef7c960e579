"""Target and Patience: where another server listens, and how long it is waited for."""

import msgspec


class Patience(msgspec.Struct, frozen=True):
    """Seconds and counts. `tries` of `timeout` for each server, all of them within `give_up`, which is less than the
    duplicate cache remembers. A suspect is asked for its status every `probe`; dead after `misses`; without any
    word it is tried again after `revive`, as not every server answers Status-Server.
    """

    timeout: float = 2.0
    tries: int = 2
    give_up: float = 9.0
    probe: float = 2.0
    misses: int = 3
    revive: float = 60.0
    keepalive: float = 30.0


class Target(msgspec.Struct, frozen=True):
    """Where a server listens, and the secret that we share with it."""

    host: str
    port: int
    transport: str
    secret: bytes
    require_ma: bool = False

    def __str__(self) -> str:
        return f"{'radsec:' if self.transport == 'radsec' else ''}{self.host} port {self.port}"

    __repr__ = __str__
