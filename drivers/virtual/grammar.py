"""The configuration language of the virtual device, as text: the table below is its specification.

Two spaces of indentation make a block. Lower-case words stand for themselves, upper-case words for a value
(see VALUES). `+` at the end: several such lines may stand side by side; without it a new value takes the place
of the old one. A block with a value may stand several times. `[role …]` limits a top-level line to some roles.
"""

import functools
import ipaddress
import re
from collections.abc import Callable

import msgspec

LANGUAGE = """
system
  hostname NAME
  site TEXT
  timezone NAME
  operator TEXT
  name-server ADDRESS +
interface PORT
  description TEXT
  shutdown
  mtu NUMBER
  member PORT +
  address PREFIX +
  bfd
  ospf area AREA
  ospf cost NUMBER
  ospf passive
vlan NUMBER
  name TEXT
  port PORT +
router
  router-id ADDRESS
  asn NUMBER
  static PREFIX via ADDRESS +
  reject PREFIX +
  announce PREFIX +
  neighbor ADDRESS
    remote-asn NUMBER
    description TEXT
    source ADDRESS
    reflector-client
    next-hop-self
    password SECRET
    send NAME
    accept PREFIX +
    maximum-prefixes NUMBER
radius [bng ap]
  source ADDRESS +
  server ADDRESS
    secret SECRET
    message-authenticator NAME
  coa-port NUMBER
  coa-rate NUMBER
access NAME [bng]
  port PORT
  priority NUMBER
  redundancy NAME
  method NAME +
  svlans RANGE +
  name-server ADDRESS +
pool NAME [bng]
  family NAME
  use NAME
  prefix PREFIX +
  length NUMBER
  nat public PREFIX +
  nat ports NUMBER
  nat mode NAME
olt [olt]
  edge NAME
  uplink PORT
  circuit-id TEXT
  profile-prefix NAME
  shared NAME svlan NUMBER
  shared NAME mvlan NUMBER
pon PORT [olt]
  technology NAME
  split NUMBER
  svlan NUMBER
  cvlans RANGE
sector NAME [ap]
  port PORT
  azimuth NUMBER
  beam NUMBER
  frequency NUMBER
  width NUMBER
  ssid TEXT
  auth NAME
  max-stations NUMBER
  svlan NUMBER
"""


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
        several = self.many or self.is_block
        return (self.position, *(self.values(line) or ())) if several else (self.position,)

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
