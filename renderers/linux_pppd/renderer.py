"""Renders a Linux PPPoE BNG (rp-pppoe's pppoe-server, pppd with its RADIUS plugin, nftables) into files."""

from typing import Any

import msgspec

from inventory.model import DeviceModel
from renderers.bundle import File, bundle, origins_of
from renderers.contract import Rendered, Secrets
from renderers.environment import environment, rendered
from renderers.linux_pppd.access import Bng, bng_of
from renderers.linux_pppd.dictionary import ATTRIBUTES
from renderers.linux_pppd.escape import html, json, plain

PLATFORM = "linux_pppd"
ROLES = frozenset({"bng"})

PAGE_PORT, DNS_PORT = 8080, 5353
FREE_GROUP, HELD_GROUP = 7001, 7002
"""Groups (`ip link set group`) of free and of held sessions' interfaces; a new interface has 0. As in the agent."""
HOME = "/etc/trunkline"


class Made(msgspec.Struct, frozen=True):
    """Which template makes which file, and its mode."""

    path: str
    template: str
    mode: int = 0o644


FILES = (
    Made("/etc/ppp/pppoe-server-options", "pppoe-server-options"),
    Made("/etc/ppp/ip-pre-up.d/trunkline-up", "hook", 0o755),
    Made("/etc/ppp/ip-down.d/trunkline-down", "hook", 0o755),
    Made(f"{HOME}/session", "session", 0o755),
    Made(f"{HOME}/sysctl.conf", "sysctl.conf"),
    Made(f"{HOME}/addresses", "addresses"),
    Made(f"{HOME}/radius/radiusclient.conf", "radiusclient.conf"),
    Made(f"{HOME}/radius/servers", "servers", 0o600),
    Made(f"{HOME}/radius/dictionary", "dictionary"),
    Made(f"{HOME}/radius/ports", "ports"),
    Made(f"{HOME}/firewall/rules.nft", "rules.nft"),
    Made(f"{HOME}/firewall/rules.v4", "rules.v4"),
    Made(f"{HOME}/firewall/rules.v6", "rules.v6"),
    Made(f"{HOME}/garden/dns.conf", "dns.conf"),
    Made(f"{HOME}/garden/page.html", "page.html"),
    Made(f"{HOME}/garden/server.py", "server.py", 0o755),
)


IPV6 = (
    Made("/etc/ppp/ipv6-up.d/trunkline-up", "hook6", 0o755),
    Made(f"{HOME}/ipv6/server.py", "ipv6.py", 0o755),
    Made(f"{HOME}/ipv6/conf.json", "ipv6.json"),
)


def render(model: DeviceModel, secrets: Secrets) -> Rendered:
    """The whole configuration as files, and as one text (`config`) that the driver loads. Raises CannotRender."""
    files = files_of(bng_of(model, secrets))
    return Rendered(
        config=bundle(files), files={file.path: file.text for file in files}, origins=origins_of(files)
    )


def files_of(bng: Bng) -> list[File]:
    """Every file of a BNG, ordered by path."""
    made = [_fill(entry, bng=bng) for entry in FILES]
    made += [_fill(entry, bng=bng) for entry in (IPV6 if bng.ipv6 else ())]
    for listener in bng.listeners:
        where = f"{HOME}/access/{plain(listener.port)}"
        made.append(_fill(Made(f"{where}.args", "access.args"), bng=bng))
        made.append(_fill(Made(f"{where}.pool", "access.pool"), addresses=listener.addresses))
    return sorted(made, key=lambda file: file.path)


def _fill(entry: Made, **words: Any) -> File:
    env = environment(PLATFORM, plain, html, json)
    words |= {"page_port": PAGE_PORT, "dns_port": DNS_PORT, "attributes": ATTRIBUTES}
    words |= {"free": FREE_GROUP, "held": HELD_GROUP}
    filled = rendered(env, f"{entry.template}.j2", **words)
    return File(entry.path, entry.mode, filled.config.rstrip("\n") + "\n", filled.origins)
