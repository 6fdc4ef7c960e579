"""The device's SSH server: logins, the session limit, one command a channel, a prompt for people, and faults."""

import asyncio
import hashlib
import hmac
import itertools
from contextlib import suppress
from typing import Any

import asyncssh

from drivers.virtual.answers import as_json, as_text
from drivers.virtual.commands import Caller, batch, perform
from drivers.virtual.device import Login, VirtualDevice
from drivers.virtual.errors import Refused

_JSON = " | json"
_WITH_TEXT = ("load replace", "load merge", "load sections", "batch")
_LONGEST_TEXT = 32 * 1024 * 1024
_NUMBERS = itertools.count(1)


class DeviceServer:
    """Serves one device on its own port and keeps its timer."""

    def __init__(self, device: VirtualDevice) -> None:
        self.device = device
        self.sessions: dict[int, asyncssh.SSHServerConnection] = {}
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._timer: asyncio.Task[None] | None = None
        self._told = asyncio.Event()

    async def start(self) -> None:
        """Listen, and revert by ourselves what nobody confirms."""
        self._acceptor = await asyncssh.listen(
            self.device.spec.host,
            self.device.spec.port,
            server_factory=lambda: _Gate(self),
            server_host_keys=[self.device.key],
            process_factory=self._channel,
            errors="replace",
            server_version="TrunklineVirtual_1.0",
            login_timeout=20,
        )
        self.device.bound(self._acceptor.get_port())
        self._timer = asyncio.create_task(self._revert_in_time())

    async def stop(self) -> None:
        """Close the port and every session, as when the power goes."""
        if self._timer:
            self._timer.cancel()
        for connection in list(self.sessions.values()):
            connection.abort()
        if self._acceptor:
            self._acceptor.close()
            await self._acceptor.wait_closed()

    async def _revert_in_time(self) -> None:
        """Sleep until the deadline of a pending commit; every command may set or end one."""
        while True:
            self._told.clear()
            with self.device.lock:
                self.device.configuration.expire()
                pending = self.device.configuration.pending
            left = max(0.0, pending.deadline - self.device.configuration.clock()) if pending else None
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), left)

    async def _channel(self, channel: Any) -> None:
        gate = channel.get_extra_info("connection").get_owner()
        caller = Caller(self.device, gate.number, channel.get_extra_info("username"))
        try:
            if channel.command is None:
                await self._prompt(channel, caller)
                status = 0
            else:
                text = await _text(channel) if channel.command.startswith(_WITH_TEXT) else ""
                status = await self._answer(channel, caller, channel.command, text)
            channel.exit(status)
        except (asyncssh.Error, ConnectionError):
            return

    async def _prompt(self, channel: Any, caller: Caller) -> None:
        channel.stdout.write(f"{self.device.name}> ")
        while line := await _line(channel):
            words = line.strip()
            if words in ("exit", "quit"):
                return
            text = ""
            if words.startswith(_WITH_TEXT):
                while (part := await _line(channel)) and part.strip() != ".":
                    text += part
            if words:
                await self._answer(channel, caller, words, text)
            channel.stdout.write(f"{self.device.name}> ")

    async def _answer(self, channel: Any, caller: Caller, line: str, text: str) -> int:
        await self._be_slow(line)
        self._drop("drop-before-commit", caller, line)
        try:
            with self.device.lock:
                answer = _performed(caller, line, text)
                self.device.objects.save()
            self._told.set()
        except Refused as error:
            channel.stderr.write(f"{error}\n")
            return 1
        self._drop("drop-after-commit", caller, line)
        channel.stdout.write(answer)
        return 0

    def _drop(self, fault: str, caller: Caller, line: str) -> None:
        if line.startswith("commit") and self.device.faults.of(fault):
            self.sessions[caller.session].abort()
            raise ConnectionResetError(fault)

    async def _be_slow(self, line: str) -> None:
        for seconds in self.device.faults.of("slow"):
            await asyncio.sleep(float(seconds))
        if any(line.startswith(word) for word in self.device.faults.of("hang")):
            await asyncio.Event().wait()


def _performed(caller: Caller, line: str, text: str) -> str:
    if line == "batch":
        return "".join(as_json(answer) for answer in batch(caller, text))
    if line.endswith(_JSON):
        return as_json(perform(caller, line.removesuffix(_JSON), text))
    return as_text(perform(caller, line, text))


async def _text(channel: Any) -> str:
    parts: list[str] = []
    size = 0
    while part := await channel.stdin.read(65536):
        size += len(part)
        if size > _LONGEST_TEXT:
            raise asyncssh.ProtocolError("the text is too long")
        parts.append(part)
    return "".join(parts)


async def _line(channel: Any) -> str:
    try:
        return str(await channel.stdin.readline())
    except (asyncssh.BreakReceived, asyncssh.TerminalSizeChanged):
        return "\n"


class _Gate(asyncssh.SSHServer):
    """Decides on one connection: logins and the number of sessions."""

    def __init__(self, server: DeviceServer) -> None:
        self.server = server
        self.number = next(_NUMBERS)
        self.connection: Any = None

    def connection_made(self, conn: Any) -> None:
        self.connection = conn

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if self.server.sessions.pop(self.number, None):
            with self.server.device.lock:
                self.server.device.configuration.discard(self.number)

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002
        if len(self.server.sessions) >= self.server.device.spec.sessions:
            raise asyncssh.DisconnectError(
                asyncssh.DISC_TOO_MANY_CONNECTIONS, "all management sessions are in use"
            )
        return True

    def auth_completed(self) -> None:
        self.server.sessions[self.number] = self.connection

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        known = self._login(username)
        return bool(known and known.password) and _same(known.password if known else "", password)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: Any) -> bool:
        known = self._login(username)
        given = key.export_public_key("openssh").split()[1].decode()
        return any(_same(line.split()[1], given) for line in (known.public_keys if known else ()))

    def _login(self, username: str) -> Login | None:
        if self.server.device.faults.of("refuse-login"):
            return None
        return self.server.device.spec.logins.get(username)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(hashlib.sha256(one.encode()).digest(), hashlib.sha256(other.encode()).digest())
