"""Renders an accel-ppp BNG (PPPoE and IPoE): accel-ppp.conf, S-VLANs, firewall, kernel settings."""

import msgspec

from inventory.model import DeviceModel
from renderers.accel_ppp.access import Bng, bng_of
from renderers.accel_ppp.escape import secret, text, word
from renderers.bundle import File, bundle, origins_of
from renderers.contract import Rendered, Secrets
from renderers.environment import environment, rendered

PLATFORM = "accel_ppp"
ROLES = frozenset({"bng"})
HOME = "/etc/trunkline"


class Made(msgspec.Struct, frozen=True):
    """Which template makes which file, and its mode."""

    path: str
    template: str
    mode: int = 0o644


FILES = (
    Made("/etc/accel-ppp.conf", "accel-ppp.conf", 0o600),
    Made(f"{HOME}/firewall/rules.nft", "rules.nft"),
    Made(f"{HOME}/sysctl.conf", "sysctl.conf"),
    Made(f"{HOME}/vlans", "vlans"),
)


def render(model: DeviceModel, secrets: Secrets) -> Rendered:
    """The whole configuration as files, and as one text (`config`) that the driver loads. Raises CannotRender."""
    files = [_fill(entry, bng_of(model, secrets)) for entry in FILES]
    return Rendered(
        config=bundle(files), files={file.path: file.text for file in files}, origins=origins_of(files)
    )


def _fill(entry: Made, bng: Bng) -> File:
    env = environment(PLATFORM, word, text, secret)
    filled = rendered(env, f"{entry.template}.j2", bng=bng)
    return File(entry.path, entry.mode, filled.config.rstrip("\n") + "\n", filled.origins)
