"""The configuration language of the virtual device, as text: the table below is its specification.

Two spaces of indentation make a block. Lower-case words stand for themselves, upper-case words for a value
(see VALUES). `+` at the end: several such lines may stand side by side; without it a line takes the place of
the one that differs in the last value only. A block with a value may stand several times. `[role …]` limits a
top-level line to some roles.
"""

import functools
import ipaddress
import re
from collections.abc import Callable

import msgspec

LANGUAGE = """
system
  hostname NAME
  operator TEXT
  site TEXT
  timezone NAME
interface PORT
  description TEXT
  shutdown
  member PORT +
  parent PORT
  svlan NUMBER
  cvlan NUMBER
  trunk RANGE +
  mtu NUMBER
  address PREFIX +
  bfd
  ospf area AREA
  ospf cost NUMBER
  ospf hello NUMBER
  ospf dead NUMBER
  ospf passive
router
  asn NUMBER
  router-id ADDRESS
  reflector
  cluster ADDRESS
  originate PREFIX +
  static PREFIX discard +
  static PREFIX via ADDRESS +
  static PREFIX via ADDRESS distance NUMBER +
  static PREFIX port PORT +
  static PREFIX port PORT distance NUMBER +
  neighbor ADDRESS
    remote-asn NUMBER
    description TEXT
    source ADDRESS
    client
    secret SECRET
    send NAME
    accept PREFIX +
    announce PREFIX +
    maximum ipv4 NUMBER
    maximum ipv6 NUMBER
radius [bng ap]
  vendor NAME
  source ADDRESS +
  message-authenticator NAME
  legacy
  interim NUMBER
  coa port NUMBER
  coa rate NUMBER
  server ADDRESS
    secret SECRET
    auth-port NUMBER
    acct-port NUMBER
pppoe [bng]
  ac-name NAME
  service-name NAME
  gateway ADDRESS
  mtu NUMBER
  sessions NUMBER
access NAME [bng]
  port PORT
  priority NUMBER
  redundancy NAME
  peer NAME priority NUMBER +
  method NAME +
  svlans RANGE +
  dns ADDRESS +
  garden page ADDRESS
  garden url TEXT
  garden allow PREFIX +
  pool NAME NAME
    family NAME
    allocate NAME
    prefix PREFIX +
    length NUMBER
    gateway ADDRESS
    nat PREFIX +
    nat-ports NUMBER
olt [olt]
  edge NAME
  uplink PORT
  circuit-id TEXT
  profiles NAME
  shared NAME svlan NUMBER
  shared NAME mvlan NUMBER
pon PORT [olt]
  technology NAME
  split NUMBER
  svlan NUMBER
  cvlans RANGE +
ap [ap]
  edge NAME
sector NAME [ap]
  port PORT
  azimuth DECIMAL
  beam DECIMAL
  frequency NUMBER
  width NUMBER
  ssid TEXT
  auth NAME
  max-stations NUMBER
  svlan NUMBER
"""


SECTIONS = {
    "system": frozenset({"system"}),
    "interfaces": frozenset({"interface"}),
    "routing": frozenset({"router"}),
    "subscriber": frozenset({"radius", "pppoe", "access"}),
    "access": frozenset({"olt", "pon", "ap", "sector"}),
}
"""Which top-level words make a section of ownership, as `sections` of a device's intent names it."""


def _address(word: str) -> bool:
    try:
        ipaddress.ip_address(word)
    except ValueError:
        return False
    return True


def _prefix(word: str) -> bool:
    try:
        ipaddress.ip_interface(word)
    except ValueError:
        return False
    return "/" in word


def _fits(pattern: str) -> Callable[[str], bool]:
    return lambda word: re.fullmatch(pattern, word) is not None


VALUES: dict[str, Callable[[str], bool]] = {
    "NAME": _fits(r"[\w.:/+@-]{1,127}"),
    "PORT": _fits(r"[\w.:/-]{1,63}"),
    "NUMBER": _fits(r"\d{1,10}"),
    "DECIMAL": _fits(r"\d{1,5}(\.\d{1,3})?"),
    "RANGE": _fits(r"\d{1,4}(-\d{1,4})?"),
    "AREA": _fits(r"\d+(\.\d+){3}"),
    "ADDRESS": _address,
    "PREFIX": _prefix,
    "TEXT": _fits(r"[^\x00-\x1f\x7f]{1,255}"),
    "SECRET": _fits(r"[^\x00-\x1f\x7f]{1,255}"),
}
TAKES_THE_REST = frozenset({"TEXT", "SECRET"})


class Pattern(msgspec.Struct, frozen=True, eq=False):
    """One line of the language: its words, whether it repeats, its roles (empty: all) and what may stand below."""

    position: int
    words: tuple[str, ...]
    many: bool
    roles: frozenset[str]
    below: tuple["Pattern", ...]

    @property
    def is_block(self) -> bool:
        """Whether lines may stand below this one."""
        return bool(self.below)

    def values(self, line: str) -> tuple[str, ...] | None:
        """The values of a line of this pattern; None where the line is none of this pattern."""
        split = len(self.words) - 1 if self.words[-1] in TAKES_THE_REST else -1
        found = line.split(" ", split)
        if len(found) != len(self.words):
            return None
        pairs = list(zip(self.words, found, strict=True))
        if any(not VALUES[want](got) if want in VALUES else want != got for want, got in pairs):
            return None
        return tuple(got for want, got in pairs if want in VALUES)

    def identity(self, line: str) -> tuple[object, ...]:
        """What two lines share when the later takes the place of the earlier."""
        values = self.values(line) or ()
        named = values if self.many or self.is_block else values[:-1]
        return (self.position, *named)

    def secret(self) -> bool:
        """Whether the line ends in a secret."""
        return self.words[-1] == "SECRET"


@functools.cache
def language(role: str) -> tuple[Pattern, ...]:
    """The top-level patterns of a role, in canonical order."""
    return tuple(p for p in _patterns(LANGUAGE.strip("\n").split("\n"), 0) if not p.roles or role in p.roles)


def _patterns(lines: list[str], depth: int) -> tuple[Pattern, ...]:
    starts = [i for i, line in enumerate(lines) if not line.startswith("  " * (depth + 1))]
    ends = [*starts[1:], len(lines)]
    return tuple(
        _pattern(position, lines[start].strip(), _patterns(lines[start + 1 : end], depth + 1))
        for position, (start, end) in enumerate(zip(starts, ends, strict=False))
    )


def _pattern(position: int, line: str, below: tuple[Pattern, ...]) -> Pattern:
    text, _, roles = line.removesuffix("]").partition(" [")
    return Pattern(
        position=position,
        words=tuple(text.removesuffix(" +").split(" ")),
        many=text.endswith(" +"),
        roles=frozenset(roles.split()),
        below=below,
    )
