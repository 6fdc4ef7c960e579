"""accel-ppp.conf as its parser reads it (triton/conf_file.c), and which changes `reload` does not take.

accel-pppd has no mode that only checks a file, and what it cannot parse it leaves out with a line in its log: so a
candidate is checked here before the device sees it.
"""

from collections.abc import Iterator

Sections = dict[str, list[tuple[str, str]]]

LONGEST_LINE = 1022
"""accel-ppp reads lines with fgets into 1024 octets: the rest of a longer one would be an option of its own."""

_KNOWN = """
modules core common ppp auth pptp pppoe l2tp sstp ipoe dns wins ipv6-dns client-ip-range radius ip-pool log pppd-compat
chap-secrets shaper cli snmp connlimit metrics ipv6-pool ipv6-dhcp ipv6-nd
"""
KNOWN = frozenset(_KNOWN.split())
_POOLS = ("ip-pool", "ipv6-pool")
_AT_START = {
    # Read once, when the module starts: these have no handler of the reload event, or not for this option.
    "modules": None,
    "core": None,
    "metrics": None,
    "snmp": None,
    "cli": {"tcp", "telnet", "history-file"},
    "radius": {"dictionary"},
    "shaper": {"ifb"},
    "log": {
        "log-file",
        "log-fail-file",
        "per-user-dir",
        "per-session-dir",
        "per-session",
        "copy",
        "color",
        "log-tcp",
    },
}
_LISTS = {"modules", "dns", "wins", "ipv6-dns", "client-ip-range", *_POOLS}


def read(text: str) -> Sections:
    """{section: [(option, value)]} in the order of the file; an option without `=` has the value ""."""
    found: Sections = {}
    current: list[tuple[str, str]] | None = None
    for line in (each.strip(" \t") for each in text.splitlines()):
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            current = found.setdefault(line[1:].partition("]")[0], [])
        elif current is not None:
            name, _, value = line.partition("=")
            current.append((name.strip(" \t"), value.strip(" \t")))
    return found


def mistakes(text: str) -> Iterator[str]:
    """What accel-ppp would refuse or misread, as `line N: …`."""
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip(" \t")
        if len(line.encode()) > LONGEST_LINE:
            yield f"line {number}: longer than {LONGEST_LINE} octets"
        if not stripped or stripped.startswith("#"):
            continue
        if stripped.startswith("["):
            section = stripped[1:].partition("]")[0]
            if "]" not in stripped:
                yield f"line {number}: the section's name does not end"
            elif section not in KNOWN:
                yield f"line {number}: accel-ppp has no section [{section}]"
        elif not section:
            yield f"line {number}: stands before the first section"
        elif stripped.startswith("$include") or stripped.endswith("{"):
            yield f"line {number}: files and blocks inside the file are not taken"


def restart_reasons(old: str, new: str, later: bool = False) -> list[str]:
    """What changed that `accel-cmd reload` would not take; [] when a reload is enough.

    `later`: this accel-ppp follows 1.14.0 and takes changed pools and the secrets of known servers by reload; 1.14.0
    reads its pools once, and keeps the secret of a server whose address and ports stay (serv.c __add_server).
    """
    before, after = read(old), read(new)
    found = list[str]()
    for section in sorted({*before, *after}):
        was, now = before.get(section, []), after.get(section, [])
        if was != now:
            found += _reasons(section, was, now, later)
    return found


def _reasons(
    section: str, was: list[tuple[str, str]], now: list[tuple[str, str]], later: bool
) -> Iterator[str]:
    if section in _POOLS:
        if not later:
            yield f"[{section}]"
        return
    if section in _AT_START:
        names = _AT_START[section]
        if names is None:
            yield f"[{section}]"
            return
        yield from (
            f"[{section}] {name}" for name in sorted(names) if _values(was, name) != _values(now, name)
        )
    if section == "pppoe" and _fixed_interfaces(was) != _fixed_interfaces(now):
        yield "[pppoe] interface"
    if section == "radius" and _dae(was) != _dae(now):
        yield "[radius] dae-server"
    if section == "radius" and _kept_server_differs(was, now, later):
        yield "[radius] server"
    if section not in _LISTS:
        # Most options keep their old value when their line goes away (`if (opt) …` in the modules' load_config).
        gone = (
            {name for name, _ in was}
            - {name for name, _ in now}
            - {"interface", "vlan-mon", "server", "dae-server"}
        )
        yield from (f"[{section}] {name} is gone" for name in sorted(gone))


def _values(options: list[tuple[str, str]], name: str) -> list[str]:
    return [value for key, value in options if key == name]


def _fixed_interfaces(options: list[tuple[str, str]]) -> list[str]:
    """pppoe.c opens `interface=` at its start alone; for VLANs of vlan-mon it looks at `re:` lines when one appears."""
    return [value for value in _values(options, "interface") if not value.startswith("re:")]


def _dae(options: list[tuple[str, str]]) -> list[str]:
    """The socket is bound once; the secret behind the comma is taken by reload."""
    return [value.partition(",")[0] for value in _values(options, "dae-server")]


def _kept_server_differs(was: list[tuple[str, str]], now: list[tuple[str, str]], later: bool) -> bool:
    """A server of the same address and ports is kept as it was made: weight, backup, and in 1.14.0 its secret."""
    before, after = (dict(_server(value, later) for value in _values(each, "server")) for each in (was, now))
    return any(before[key] != after[key] for key in before.keys() & after.keys())


def _server(value: str, later: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    address, secret, *rest = [*value.split(","), ""]
    key = (address, *(word for word in rest if word.startswith(("auth-port=", "acct-port="))))
    fixed = tuple(word for word in rest if word.startswith("weight=") or word == "backup")
    return key, fixed if later else (secret, *fixed)
