"""What the lab changes in a repository so that Trunkline can log in to its routers: login, host keys, timers."""

import msgspec

from cli.lab.routers import Lab
from cli.lab.sshd import LOGIN
from core import crypto
from intents.config.schema import Config, Login
from intents.device.routing import Ospf
from intents.device.schema import Device, Management
from intents.dump import to_yaml
from intents.loader import Document, load
from intents.scalars import Secret

NAME = "lab"
"""The login in trunkline.yaml that the routers' intents name."""
_CONFIG = "trunkline.yaml"
_HELLO, _DEAD = 1, 10


def pinned(lab: Lab, files: dict[str, bytes], key: crypto.DataKey) -> dict[str, bytes]:
    """Those of `files` (path -> YAML) that change, as they have to be for this lab.

    Routers get their host key, the lab's login, `manage: full`, OSPF hello 1 s and dead 10 s; trunkline.yaml gets
    the login with the sealed private key. Everything else of them stays.
    """
    changed: dict[str, bytes] = {}
    for path, raw in files.items():
        document = load(path, raw)
        if isinstance(document, Document):
            fresh = _changed(lab, document, key)
            if fresh is not document.value:
                changed[path] = to_yaml(document.kind, fresh)
    return changed


def _changed(lab: Lab, document: Document, key: crypto.DataKey) -> object:
    value: object = document.value
    if isinstance(value, Config):
        sealed = crypto.seal(key, lab.key_path.read_text(), _CONFIG, f"logins.{NAME}.key")
        return msgspec.structs.replace(
            value, logins={**value.logins, NAME: Login(name=LOGIN, key=Secret(sealed))}
        )
    if isinstance(value, Device) and document.id in lab.host_keys and value.management:
        return _reachable(value, value.management, lab.host_keys[document.id])
    return value


def _reachable(device: Device, management: Management, host_key: str) -> Device:
    routing = device.routing
    if routing is not None:
        ospf = msgspec.structs.replace(routing.ospf or Ospf(), hello=_HELLO, dead=_DEAD)
        routing = msgspec.structs.replace(routing, ospf=ospf)
    reached = msgspec.structs.replace(management, port=22, login=NAME, host_key=host_key)
    return msgspec.structs.replace(device, manage="full", management=reached, routing=routing)
