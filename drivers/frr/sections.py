"""Ownership by section: put some sections of a candidate over the running configuration; pure.

`interfaces`: interface blocks without their routing lines. `routing`: those lines, and all other blocks and lines
(routers, routes, prefix-lists, route-maps). The host's own lines are nobody's here, the router keeps them.
"""

import re
from collections.abc import Collection, Iterator

import msgspec

_ROUTING = re.compile(
    r"(no )?(ip|ipv6) (ospf6?|router|rip|ripng|eigrp|igmp|pim) |(no )?(bfd|isis|mpls|link-params)\b"
)
_CLOSING = re.compile(r"(exit|end|!)")


class Block(msgspec.Struct):
    """A top-level line and what lies in it, indented as FRR writes it."""

    head: str
    body: list[str]

    def lines(self) -> list[str]:
        """As FRR writes it."""
        return [self.head, *self.body, "exit"] if self.body or self.is_interface else [self.head]

    @property
    def is_interface(self) -> bool:
        """Whether both sections may have a part in it."""
        return self.head.startswith("interface ")


def combined(candidate: str, running: str, sections: Collection[str]) -> str:
    """The owned sections of `candidate`, everything else of `running`."""
    wanted, found = list(_blocks(candidate)), list(_blocks(running))
    source = wanted if "routing" in sections else found
    others = [block for block in source if not block.is_interface]
    blocks = [*_interfaces(wanted, found, sections), *others]
    return "\n".join(line for block in blocks for line in block.lines()) + "\n"


def _blocks(text: str) -> Iterator[Block]:
    block: Block | None = None
    for line in text.splitlines():
        if line.startswith(" "):
            if block is not None and line.strip() != "!":
                block.body.append(line)
        elif line.strip() and not _CLOSING.match(line):
            if block is not None:
                yield block
            block = Block(line.rstrip(), [])
    if block is not None:
        yield block


def _interfaces(wanted: list[Block], found: list[Block], sections: Collection[str]) -> Iterator[Block]:
    ours = {block.head: block.body for block in wanted if block.is_interface}
    theirs = {block.head: block.body for block in found if block.is_interface}
    for head in dict.fromkeys((*ours, *theirs)):
        plain = (ours if "interfaces" in sections else theirs).get(head, [])
        routed = (ours if "routing" in sections else theirs).get(head, [])
        body = [line for line in plain if not _is_routing(line)] + [
            line for line in routed if _is_routing(line)
        ]
        if body:
            yield Block(head, body)


def _is_routing(line: str) -> bool:
    return bool(_ROUTING.match(line.strip()))
