"""What the lab's routers should run and know, from the intents: configurations, loopbacks, session counts."""

import msgspec

from cli.lab.topology import LabPlan
from intents.reader import Reader
from inventory.model import DeviceModel
from inventory.resolve import resolve_device
from renderers.contract import Secrets
from renderers.registry import renderer_for


class Expected(msgspec.Struct, frozen=True):
    """`bgp` counts iBGP session ends over both families; `loopbacks` are {router: (IPv4, IPv6)}."""

    configurations: dict[str, str]
    loopbacks: dict[str, tuple[str, str]]
    bgp: int


def expected_of(reader: Reader, plan: LabPlan, secrets: Secrets) -> Expected:
    """Resolve and render every router of the plan. Raises CannotRender."""
    models = {router.name: resolve_device(reader, router.name) for router in plan.routers}
    return Expected(
        {
            name: renderer_for(model.device.platform).render(model, secrets).config
            for name, model in models.items()
        },
        {
            name: (_bare(model.loopback_v4), _bare(model.loopback_v6))
            for name, model in models.items()
            if model.loopback_v4 and model.loopback_v6
        },
        sum(_ibgp_ends(model, set(models)) for model in models.values()),
    )


def _ibgp_ends(model: DeviceModel, inside: set[str]) -> int:
    peers = [peer for peer in (model.routing.ibgp if model.routing else ()) if peer.device in inside]
    v4 = sum(bool(peer.v4 and model.loopback_v4) for peer in peers)
    return v4 + sum(bool(peer.v6 and model.loopback_v6) for peer in peers)


def _bare(address: str | None) -> str:
    return str(address or "").split("/")[0]
