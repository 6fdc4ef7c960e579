"""The README of a new network repository."""

from inventory.graph import addressing

_TEXT = """\
# {title}

The network of {operator}, as files. What stands here is what the network should be: Trunkline turns it into device
configuration and RADIUS policy, and proves that it got there. A change is a pull request; undoing it is `git revert`.

    trunkline validate .        every mistake, with file, line and column

| where | what |
|---|---|
| trunkline.yaml | the operator, RADIUS servers, who may change what, guards, windows, rollout |
| network/ | sites, edges, devices, links, pools |
| catalog/plans/ | what is sold: speeds and prices |
| lines/, services/, holds/ | the physical access, what a customer has on it, why it is restricted |
| schemas/, .vscode/ | completion and checks while you type (YAML extension of VS Code) |
| .github/workflows/ | validation and preview of every pull request |

## Addresses

| range | for |
|---|---|
| {loopbacks4}, {loopbacks6} | loopbacks, one /32 and one /128 a router |
| {links4}, {links6} | links, one /31 and one /127 each |
| {management} | management addresses |

These are private (RFC 1918) and documentation (RFC 3849) ranges: put your own in their place before the network carries
traffic.
{more}"""

NEXT = """
## What to do next

1. Put the real management addresses, logins and host keys into `network/devices/*.yaml`.
2. Leave `manage` out (that is `observe`: look, never write) until a plan shows what you expect; then `manage: full`.
3. Seal secrets with `trunkline secret`; nothing in clear belongs here.
"""


def readme(title: str, operator: str, more: str = NEXT) -> str:
    """Markdown; `more` is appended after the table of addresses."""
    return _TEXT.format(
        title=title,
        operator=operator,
        more=more,
        loopbacks4=addressing.LOOPBACKS4,
        loopbacks6=addressing.LOOPBACKS6,
        links4=addressing.LINKS4,
        links6=addressing.LINKS6,
        management=addressing.MANAGEMENT,
    )
