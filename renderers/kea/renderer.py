"""Renders a Kea DHCP server for IPoE: networks, subnets and client classes. Who gets what are subscriber objects."""

from inventory.model import DeviceModel
from renderers.bundle import File, bundle, origins_of
from renderers.contract import Rendered, Secrets
from renderers.environment import environment, rendered
from renderers.kea.escape import json
from renderers.kea.networks import server_of

PLATFORM = "kea"
ROLES = frozenset({"dhcp"})
CONF = "/etc/kea/kea-dhcp4.conf"


def render(model: DeviceModel, secrets: Secrets) -> Rendered:  # noqa: ARG001  nothing in it is secret
    """The whole configuration, as the file and as the text that the driver loads. Raises CannotRender."""
    filled = rendered(environment(PLATFORM, json), "kea-dhcp4.conf.j2", server=server_of(model))
    file = File(CONF, 0o644, filled.config.rstrip("\n") + "\n", filled.origins)
    return Rendered(config=bundle([file]), files={file.path: file.text}, origins=origins_of([file]))
