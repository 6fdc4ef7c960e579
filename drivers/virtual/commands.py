"""The command line of the virtual device: words to an answer. `… | json` gives any `show` as JSON.

A command is a function `(caller, words, text) -> answer`; `text` is what came on standard input.
"""

import time
from collections.abc import Callable
from typing import Any

import msgspec

from drivers.contract import LiveSession
from drivers.virtual import state
from drivers.virtual.device import VirtualDevice
from drivers.virtual.errors import Refused
from drivers.virtual.objects import Onu, ServicePort


class Caller(msgspec.Struct, frozen=True):
    """Who asks: a logged-in session on a device."""

    device: VirtualDevice
    session: int
    login: str


Command = Callable[[Caller, list[str], str], Any]
COMMANDS: dict[str, Command] = {}


def command(phrase: str) -> Callable[[Command], Command]:
    """Register a function for commands that begin with `phrase`."""

    def register(function: Command) -> Command:
        COMMANDS[phrase] = function
        return function

    return register


def perform(caller: Caller, line: str, text: str = "") -> Any:
    """Carry out one command line and return its answer. Raises Refused."""
    words = line.split()
    caller.device.configuration.expire()
    for length in (2, 1):
        found = COMMANDS.get(" ".join(words[:length]))
        if found and len(words) >= length:
            return _called(found, caller, line, words[length:], text)
    raise Refused(f"unknown command '{line}'; see 'help'")


def batch(caller: Caller, text: str) -> list[dict[str, Any]]:
    """Carry out one command a line; every line has its own answer, a refusal stops nothing."""
    return [_answered(caller, line) for line in text.splitlines() if line.strip()]


def _answered(caller: Caller, line: str) -> dict[str, Any]:
    try:
        return {"ok": True, "answer": perform(caller, line)}
    except Refused as error:
        return {"ok": False, "answer": str(error)}


def _called(found: Command, caller: Caller, line: str, words: list[str], text: str) -> Any:
    try:
        return found(caller, words, text)
    except (IndexError, ValueError, msgspec.ValidationError) as error:
        raise Refused(f"cannot read '{line}': {error}") from error


@command("help")
def _help(_caller: Caller, _words: list[str], _text: str) -> Any:
    return sorted(COMMANDS)


@command("show version")
def _version(caller: Caller, _words: list[str], _text: str) -> Any:
    device = caller.device
    hostname = [
        line for line in device.configuration.tree().get("system", {}) if line.startswith("hostname ")
    ]
    return {
        "hostname": hostname[0].split(" ")[1] if hostname else device.name,
        "vendor": "Trunkline",
        "model": f"virtual-{device.spec.role}",
        "os_version": "1.0",
        "serial_number": device.host_key.removeprefix("SHA256:")[:12],
        "uptime": time.monotonic() - device.started,
        "interface_list": state.ports(device),
    }


@command("show configuration")
def _configuration(caller: Caller, words: list[str], _text: str) -> Any:
    history = caller.device.configuration.state.history
    number = int(words[1]) if words[:1] == ["rollback"] else 0
    if number >= len(history):
        raise Refused(f"there is no rollback {number}")
    return history[number].text


@command("show pending")
def _pending(caller: Caller, _words: list[str], _text: str) -> Any:
    configuration = caller.device.configuration
    if not (pending := configuration.pending):
        return {}
    return {"seconds": max(0.0, pending.deadline - configuration.clock()), "comment": pending.comment}


@command("show commits")
def _commits(caller: Caller, _words: list[str], _text: str) -> Any:
    history = caller.device.configuration.state.history
    return [
        {"rollback": number, "at": commit.at, "login": commit.login, "comment": commit.comment}
        for number, commit in enumerate(history)
    ]


@command("show neighbours")
def _neighbours(caller: Caller, _words: list[str], _text: str) -> Any:
    return state.neighbours(caller.device)


@command("show sessions")
def _sessions(caller: Caller, _words: list[str], _text: str) -> Any:
    return list(caller.device.sessions.live.values())


@command("show stations")
def _stations(caller: Caller, _words: list[str], _text: str) -> Any:
    return state.stations(caller.device)


@command("show onus")
def _onus(caller: Caller, _words: list[str], _text: str) -> Any:
    return state.onus(caller.device)


@command("show onu")
def _onu(caller: Caller, words: list[str], _text: str) -> Any:
    return caller.device.objects.onu(words[0], int(words[1]))


@command("show autofind")
def _autofind(caller: Caller, _words: list[str], _text: str) -> Any:
    found = caller.device.objects.table.found
    return [{"serial": serial, "pon": pon} for serial, pon in found.items()]


@command("show service-ports")
def _service_ports(caller: Caller, _words: list[str], _text: str) -> Any:
    return list(caller.device.objects.table.ports.values())


@command("show service-port")
def _service_port(caller: Caller, words: list[str], _text: str) -> Any:
    pon, onu, port = words
    if found := caller.device.objects.find_port(pon, int(onu), port):
        return found
    raise Refused(f"{pon} {onu} {port} does not exist as service-port")


@command("load replace")
def _load_replace(caller: Caller, _words: list[str], text: str) -> Any:
    caller.device.configuration.replace(caller.session, text)


@command("load merge")
def _load_merge(caller: Caller, _words: list[str], text: str) -> Any:
    caller.device.configuration.merge(caller.session, text)


@command("load sections")
def _load_sections(caller: Caller, words: list[str], text: str) -> Any:
    """`load sections NAME…`: a whole configuration, of which only these sections are taken."""
    caller.device.configuration.replace_sections(caller.session, words, text)


@command("rollback")
def _rollback(caller: Caller, words: list[str], _text: str) -> Any:
    caller.device.configuration.load_earlier(caller.session, int(words[0]))


@command("compare")
def _compare(caller: Caller, _words: list[str], _text: str) -> Any:
    return caller.device.configuration.compare()


@command("commit")
def _commit(caller: Caller, words: list[str], _text: str) -> Any:
    """`commit [confirmed SECONDS] [comment TEXT]`."""
    within = None
    if words[:1] == ["confirmed"]:
        within, words = float(words[1]), words[2:]
    comment = " ".join(words[1:]) if words[:1] == ["comment"] else ""
    configuration = caller.device.configuration
    _reject(caller.device, configuration.candidate)
    configuration.commit(caller.session, caller.login, comment, within)


def _reject(device: VirtualDevice, candidate: object) -> None:
    for wanted in device.faults.of("reject"):
        if wanted in str(candidate):
            raise Refused(f"commit error, '{wanted}' is not accepted by the hardware")


@command("commit cancel")
def _cancel(caller: Caller, _words: list[str], _text: str) -> Any:
    caller.device.configuration.cancel(caller.login)


@command("confirm")
def _confirm(caller: Caller, _words: list[str], _text: str) -> Any:
    caller.device.configuration.confirm()


@command("discard")
def _discard(caller: Caller, _words: list[str], _text: str) -> Any:
    caller.device.configuration.discard(caller.session)


@command("clear session")
def _clear_session(caller: Caller, words: list[str], _text: str) -> Any:
    caller.device.sessions.clear(words[0])


@command("test session")
def _test_session(caller: Caller, words: list[str], _text: str) -> Any:
    """`test session ID LOGIN [ADDRESS]`: a subscriber appears, for a NAS stand-in in another program."""
    caller.device.sessions.open(LiveSession(words[0], words[1], address="".join(words[2:3])))


@command("test autofind")
def _test_autofind(caller: Caller, words: list[str], _text: str) -> Any:
    caller.device.objects.plug_in(words[0], words[1])


@command("onu add")
def _onu_add(caller: Caller, words: list[str], _text: str) -> Any:
    """`onu add PON NUMBER serial S [model M] [mode bridge|route]`."""
    _changes_objects(caller).add_onu(_onu_of(words), caller.device.pons())


@command("onu set")
def _onu_set(caller: Caller, words: list[str], _text: str) -> Any:
    _changes_objects(caller).set_onu(_onu_of(words))


def _onu_of(words: list[str]) -> Onu:
    return msgspec.convert({"pon": words[0], "onu": words[1]} | _pairs(words[2:]), Onu, strict=False)


@command("onu delete")
def _onu_delete(caller: Caller, words: list[str], _text: str) -> Any:
    _changes_objects(caller).delete_onu(words[0], int(words[1]))


@command("service-port add")
def _service_port_add(caller: Caller, words: list[str], _text: str) -> Any:
    """`service-port add INDEX|auto pon P onu N port E svlan V [cvlan V] [down K] [up K] [state up|down]`."""
    index = "0" if words[0] == "auto" else words[0]
    made = msgspec.convert({"index": index} | _pairs(words[1:]), ServicePort, strict=False)
    return _changes_objects(caller).add_port(made)


@command("service-port delete")
def _service_port_delete(caller: Caller, words: list[str], _text: str) -> Any:
    _changes_objects(caller).delete_port(int(words[0]))


@command("service-port state")
def _service_port_state(caller: Caller, words: list[str], _text: str) -> Any:
    _changes_objects(caller).set_state(int(words[0]), words[1])


def _changes_objects(caller: Caller) -> Any:
    if caller.device.spec.role != "olt":
        raise Refused(f"{caller.device.name} is no OLT")
    return caller.device.objects


def _pairs(words: list[str]) -> dict[str, str]:
    if len(words) % 2:
        raise Refused(f"'{words[-1]}' has no value")
    return dict(zip(words[::2], words[1::2], strict=True))
