"""Where and how to log in to a device: its intent's `management` joined with `logins` of trunkline.yaml."""

import hashlib
from pathlib import Path

from core import crypto
from drivers.contract import Target
from intents.config.schema import Config
from inventory.model import DeviceModel
from reconciler.errors import NoManagement
from renderers.contract import Secrets

_CONFIG = "trunkline.yaml"


def target_of(model: DeviceModel, config: Config, secrets: Secrets, keys: Path) -> Target:
    """The login target. A private key is written to `keys` with mode 0600. Raises NoManagement."""
    management = model.device.management
    if management is None:
        raise NoManagement(model.id, "it has no management address")
    login = config.logins.get(management.login or "")
    if login is None:
        raise NoManagement(model.id, f"login '{management.login}' is not among `logins` of trunkline.yaml")
    place = f"logins.{management.login}"
    password = secrets.open(login.password, _CONFIG, f"{place}.password") if login.password else ""
    key = secrets.open(login.key, _CONFIG, f"{place}.key") if login.key else ""
    return Target(
        device=model.id,
        platform=model.device.platform,
        host=str(management.address),
        port=management.port,
        login=login.name,
        password=password,
        key_path=_key_file(key, keys) if key else "",
        host_key=management.host_key or "",
        options=dict(model.device.options),
    )


def _key_file(key: str, folder: Path) -> str:
    path = folder / hashlib.sha256(key.encode()).hexdigest()[:32]
    if not path.exists():
        crypto.write_private(path, key.encode())
    return str(path)
