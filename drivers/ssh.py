"""SSH for drivers: the host key is pinned before we log in, errors are the contract's, one channel per command."""

import base64
import hashlib
import logging
import socket
from contextlib import suppress
from typing import Self

import msgspec
import paramiko

from drivers.contract import DeviceUnreachable, HostKeyMismatch, LoginRefused, Target

_CHUNK = 32768
# The library logs with a stack trace what we raise as a sentence: its log is switched off.
_SILENT = logging.getLogger("trunkline.ssh")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


class Answer(msgspec.Struct, frozen=True):
    """What a command answered; `status` is its exit status, 0 = done."""

    status: int
    output: str
    error: str


def fingerprint(key: bytes) -> str:
    """OpenSSH's fingerprint of a public key in wire format: `SHA256:` and unpadded base64."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


class Connection:
    """A logged-in SSH connection to a target; commands run one after the other, each in its own channel."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.transport = _transport(target)
        try:
            _pin(target, self.transport)
            _log_in(target, self.transport)
        except BaseException:
            self.transport.close()
            raise

    def run(self, command: str, text: str = "", timeout: float | None = None) -> Answer:
        """Run a command with `text` as its input. Raises DeviceUnreachable when no answer comes in time."""
        try:
            return self._run(command, text.encode(), timeout or self.target.timeout)
        except TimeoutError as error:
            raise DeviceUnreachable(self.target, f"no answer to '{command.split(' ')[0]}' in time") from error
        except (paramiko.SSHException, OSError, EOFError) as error:
            why = f"the connection ended during '{command.split(' ')[0]}' {error}".rstrip()
            raise DeviceUnreachable(self.target, why) from error

    def _run(self, command: str, text: bytes, timeout: float) -> Answer:
        channel = self.transport.open_session(timeout=timeout)
        with channel:
            channel.settimeout(timeout)
            channel.exec_command(command.encode())
            if text:
                channel.sendall(text)
            channel.shutdown_write()
            output, error = _everything(channel.recv), _everything(channel.recv_stderr)
            status = channel.recv_exit_status()
        if status < 0:
            raise EOFError("without an exit status")
        return Answer(status, output, error)

    def is_alive(self) -> bool:
        """Whether the connection stands."""
        return self.transport.is_active()

    def close(self) -> None:
        """End the connection at once, so that the device has its session free; harmless when it has ended."""
        with suppress(OSError):
            self.transport.sock.shutdown(socket.SHUT_RDWR)
        self.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _everything(receive: object) -> str:
    assert callable(receive)
    parts: list[bytes] = []
    while part := receive(_CHUNK):
        parts.append(part)
    return b"".join(parts).decode(errors="replace")


def _transport(target: Target) -> paramiko.Transport:
    try:
        raw = socket.create_connection((target.host, target.port), timeout=target.timeout)
    except OSError as error:
        raise DeviceUnreachable(target, str(error)) from error
    raw.settimeout(target.timeout)
    # Small packets both ways: without this every command waits 40 ms for a delayed acknowledgement.
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    transport = paramiko.Transport(raw)
    transport.set_log_channel(_SILENT.name)
    transport.banner_timeout = transport.auth_timeout = target.timeout
    try:
        transport.start_client(timeout=target.timeout)
    except (paramiko.SSHException, OSError, EOFError) as error:
        transport.close()
        raise DeviceUnreachable(target, f"no SSH there: {error}") from error
    return transport


def _pin(target: Target, transport: paramiko.Transport) -> None:
    """Nothing secret leaves us before the device has shown the key that its intent pins."""
    try:
        seen = fingerprint(transport.get_remote_server_key().asbytes())
    except paramiko.SSHException as error:  # start_client comes back without a word when its time is over
        raise DeviceUnreachable(target, "it does not finish its greeting in time") from error
    if not target.host_key or seen != target.host_key:
        raise HostKeyMismatch(target, seen)


def _log_in(target: Target, transport: paramiko.Transport) -> None:
    try:
        if target.key_path:
            transport.auth_publickey(target.login, paramiko.PKey.from_path(target.key_path))
        else:
            transport.auth_password(target.login, target.password)
    except paramiko.AuthenticationException as error:
        if not transport.is_active():
            raise DeviceUnreachable(target, "it ended the connection before the login was decided") from error
        raise LoginRefused(target, f"({error})") from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        with suppress(Exception):
            transport.close()
        raise DeviceUnreachable(target, f"the connection ended while logging in: {error}") from error
    if not transport.is_authenticated():
        raise LoginRefused(target, "(another method is asked for)")
