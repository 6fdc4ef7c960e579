"""Every class of mistake at once, on top of the network of `tests.world`: what is wrong, and where it is told.

A mistake is a file of its own (or a good file spoilt), with the codes and places that validation must name.
"""

import subprocess
from pathlib import Path
from typing import NamedTuple

from core.ids import shard

Told = tuple[str, int, int]
"""Code, line, column; 0, 0 when the path itself is the mistake."""


class Mistake(NamedTuple):
    """A file as it arrives, and what must be said of it."""

    path: str
    content: bytes
    told: tuple[Told, ...]


def _line(name: str) -> str:
    return f"lines/{shard(name)}/{name}.yaml"


def _service(name: str) -> str:
    return f"services/{shard(name)}/{name}.yaml"


def _gpon(onu: int, serial: str) -> bytes:
    return f"type: gpon\nstate: active\nolt: olt1\npon: 0/1/0\nonu: {onu}\nserial: {serial}\n".encode()


def _sold(rest: str, plan: str = "fibre-500") -> bytes:
    return f"customer: C-9\ntype: internet\nstate: active\nplan: {plan}\n{rest}".encode()


def _routed(first: str, second: str) -> bytes:
    return f"type: routed\nends:\n  - {{{first}}}\n  - {{{second}}}\n".encode()


_BOMB = b'a: &a ["lol", "lol"]\n' + b"".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n".encode()
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
_BOMB_TOLD = (("yaml.anchor", 1, 4), ("yaml.alias", 2, 8))
"""The first of many: the rest is bounded by code `more`."""

BY_ITSELF = (
    Mistake("network/sites/twice.yaml", b"name: A\nname: B\n", (("yaml.duplicate", 2, 1),)),
    Mistake(
        "network/sites/alias.yaml",
        b"name: &a A\nagent: *a\n",
        (("yaml.anchor", 1, 7), ("yaml.alias", 2, 8)),
    ),
    Mistake("network/sites/bomb.yaml", _BOMB, _BOMB_TOLD),
    Mistake("network/sites/tag.yaml", b"name: !!str A\n", (("yaml.tag", 1, 7),)),
    Mistake("network/sites/tab.yaml", b"name: A\n\tagent: b\n", (("yaml.tab", 2, 1),)),
    Mistake("network/sites/bytes.yaml", b"name: A\nagent: b\xff\n", (("yaml.utf8", 2, 9),)),
    Mistake("network/sites/big.yaml", b"name: " + b"x" * 10_000_000, (("yaml.size", 1, 1),)),
    Mistake("network/sites/deep.yaml", b"[" * 40 + b"]" * 40, (("yaml.depth", 1, 33),)),
    Mistake("network/sites/open.yaml", b"name: [A\n", (("yaml.syntax", 2, 1),)),
    Mistake("network/sites/none.yaml", b"", (("yaml.empty", 1, 1),)),
    Mistake("network/sites/break.yaml", b'name: "A\\nB"\n', (("value.control", 1, 7),)),
    Mistake("network/sites/bell.yaml", b"name: A\x07\n", (("yaml.control", 1, 8),)),
    Mistake("network/sites/key.yaml", b"name: A\nagnet: b\n", (("key.unknown", 2, 1),)),
    Mistake("network/sites/yes.yaml", b"name: 5\n", (("value.type", 1, 7),)),
    Mistake(
        "network/links/x.yaml", b"type: trunk\nends: [{device: core1, port: b}]\n", (("link.type", 2, 7),)
    ),
    Mistake("network/device/core9.yaml", b"site: perth1\n", (("path.unknown", 0, 0),)),
    Mistake("network/sites/a b.yaml", b"name: A\n", (("path.id", 0, 0),)),
    Mistake("services/aa/bb/S-91.yaml", _sold("line: L-3\n"), (("path.shard", 0, 0),)),
    Mistake("network/sites/PERTH1.yaml", b"name: A\n", ()),
    Mistake(
        _service("S-90"),
        _sold("session: {method: pppoe, login: x@example.net, password: hunter2}\nline: L-3\n"),
        (("value.secret", 5, 58),),
    ),
)
"""What one file shows. Of two ids that differ in case, the later path is told: here that is the good one."""

BETWEEN = (
    Mistake(_line("L-80"), _gpon(40, "HWTC00000001"), (("serial.twice", 6, 9),)),
    Mistake(_line("L-81"), _gpon(1, "HWTC00000081"), (("onu.twice", 5, 6),)),
    Mistake(_line("L-82"), _gpon(42, "HWTC00000082").replace(b"olt1", b"olt2"), (("reference.missing", 3, 6),)),
    Mistake(_service("S-80"), _sold("line: L-3\nattach: {port: eth1, svlan: 101, cvlan: 1003}\n"),
            (("attach.twice", 6, 9), ("cvlan.twice", 6, 41))),
    Mistake(_service("S-81"), _sold("start: 2024-06-01\nline: L-2\n"), (("service.price", 4, 7),)),
    Mistake(_service("S-82"), _sold("line: L-2\nipv4: {mode: fixed, address: 100.64.1.9}\n"), (("fixed.pool", 6, 30),)),
    Mistake("network/pools/two.yaml", b"family: ipv4\nuse: cgnat\nprefixes: [100.64.2.0/24]\n",
            (("pool.overlap", 3, 12),)),
    Mistake("network/links/over.yaml",
            _routed("device: core1, port: e8, v4: 192.0.2.0/30", "device: core2, port: e8, v4: 192.0.2.3/30"),
            (("prefix.overlap", 3, 35),)),
    Mistake("network/links/port.yaml", _routed("device: core1, port: eth0", "device: core2, port: e9"),
            (("port.twice", 3, 27),)),
    Mistake("network/devices/bng9.yaml",
            b"site: perth1\nrole: bng\nplatform: virtual\n"
            b'nas: {vendor: mikrotik, sources: [127.0.0.1], secrets: ["enc:v1:AAAA"]}\n', (("nas.twice", 4, 35),)),
)  # fmt: skip
"""What only shows between files; the newcomer is told."""

RISKS = (
    Mistake("network/devices/p1.yaml", b"site: perth1\nrole: router\nplatform: virtual\npair: p\n", ()),
    Mistake(
        "network/devices/p2.yaml",
        b"site: perth1\nrole: router\nplatform: virtual\npair: p\n",
        (("risk.shared", 4, 7),),
    ),
    Mistake(
        "network/links/p1.yaml",
        _routed("device: p1, port: a", "device: core1, port: p1") + b"risk: [duct-1]\n",
        (),
    ),
    Mistake(
        "network/links/p2.yaml",
        _routed("device: p2, port: a", "device: core2, port: p2") + b"risk: [duct-1]\n",
        (),
    ),
    Mistake(f"holds/{shard('S-70')}/S-70.abuse.yaml", b"effect: block\n", (("hold.orphan", 1, 1),)),
)
"""Warnings: nothing is refused for them."""

ODD = {
    "network/sites/linked.yaml": "path.symlink",
    "network/sites/program.yaml": "path.mode",
    "vendor": "path.submodule",
}
"""What Git can hold and an intent is not."""

SAME_IDS = ("id.case", "network/sites/perth1.yaml", 0, 0)
WARNINGS = {"risk.shared", "hold.orphan"}


def expected() -> set[tuple[str, str, int, int]]:
    """(code, path, line, column) of everything that must be told."""
    places = {(code, one.path, line, column) for one in _all() for code, line, column in one.told}
    return places | {(code, path, 0, 0) for path, code in ODD.items()} | {SAME_IDS}


def bad_paths() -> set[str]:
    """Files that must not be applied."""
    return {one.path for one in (*BY_ITSELF, *BETWEEN)} | set(ODD)


def spoil(clone: Path) -> None:
    """Write all of it into a folder with the good network."""
    for one in _all():
        place = clone / one.path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(one.content)
    (clone / "network/sites/linked.yaml").symlink_to("perth1.yaml")
    (clone / "network/sites/program.yaml").write_bytes(b"name: A\n")
    (clone / "network/sites/program.yaml").chmod(0o755)
    (clone / "vendor").mkdir()
    for arguments in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "another repository"]):
        subprocess.run(["git", *arguments], cwd=clone / "vendor", check=True, capture_output=True)


def paths() -> list[str]:
    """Every path that `spoil` writes."""
    return [*(one.path for one in _all()), *ODD]


def _all() -> tuple[Mistake, ...]:
    return BY_ITSELF + BETWEEN + RISKS
