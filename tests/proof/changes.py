"""Random changes of the network of `tests.world`: good ones, bad ones, and what mends them."""

import random
from collections.abc import Callable

from core.ids import shard
from tests.world import ROLES, World, hold_path

Edits = dict[str, str | None]
"""Path -> text; None deletes."""

PLAN = "catalog/plans/{}.yaml"
_PLAN = 'type: internet\nrate: {{down: {}M, up: 50M}}\nprices:\n  - {{id: a, from: 2025-01-01, amount: "79.00"}}\n'
_BROKEN = "type: internet\nrate: {down: [\n"


class Dice:
    """Draws one change after the other; the same seed draws the same changes."""

    def __init__(self, world: World, seed: int) -> None:
        self._world, self._random = world, random.Random(seed)

    def draw(self) -> Edits:
        """One change, by a person."""
        kinds: list[Callable[[], Edits]] = [
            self._metric, self._loopback, self._static, self._split, self._dns, self._rate, self._broken_plan,
            self._subscriber, self._move, self._collision, self._hold, self._site, self._stray, self._nas,
        ]  # fmt: skip
        return self._random.choice(kinds)()

    def machine(self) -> tuple[str, str, Edits]:
        """One change by billing or crm: (actor, reason, edits)."""
        if self._random.random() < 0.6:
            return "billing", "nonpayment", self._hold()
        return "crm", "activation", self._world.subscriber(self._random.randint(1, 12))  # type: ignore[return-value]

    def one_in(self, number: int) -> bool:
        """True once in so many draws."""
        return self._random.randrange(number) == 0

    def _metric(self) -> Edits:
        path = self._random.choice(["network/links/core1--core2.yaml", "network/links/core1--bng1.yaml"])
        return {path: self._world.files[path].replace("ospf: 10", f"ospf: {self._random.randint(1, 90)}")}

    def _loopback(self) -> Edits:
        number = self._random.randint(30, 60)
        return {"network/devices/core2.yaml": self._world.device("core2", "router", number)}

    def _static(self) -> Edits:
        name = self._random.choice(["core1", "bng1"])
        number = list(ROLES).index(name) + 1
        prefix = f"203.0.113.{self._random.randrange(16) * 16}/28"
        text = self._world.files[f"network/devices/{name}.yaml"]
        statics = f"routing: {{statics: [{{prefix: {prefix}, discard: true}}], "
        assert f".{number}/32" in text
        return {f"network/devices/{name}.yaml": text.replace("routing: {", statics)}

    def _nas(self) -> Edits:
        path = "network/devices/bng1.yaml"
        rate = self._random.randint(50, 250)
        return {path: self._world.files[path].replace("rate: 200", f"rate: {rate}")}

    def _split(self) -> Edits:
        block = self._random.randrange(8) * 8
        text = f"family: ipv4\nuse: cgnat\nallocate: nas\nsplit: {{bng1: [100.64.{block}.0/21]}}\n"
        return {"network/pools/perth-cgn.yaml": text}

    def _dns(self) -> Edits:
        path = "network/edges/perth-west.yaml"
        return {path: self._world.files[path] + f"dns: [192.0.2.{self._random.randint(200, 250)}]\n"}

    def _rate(self) -> Edits:
        name = self._random.choice(["fibre-500", "fibre-100"])
        return {PLAN.format(name): _PLAN.format(self._random.randint(90, 510))}

    def _broken_plan(self) -> Edits:
        return {PLAN.format(self._random.choice(["fibre-500", "fibre-100"])): _BROKEN}

    def _subscriber(self) -> Edits:
        number = self._random.randint(1, 12)
        made: Edits = dict(self._world.subscriber(number))
        return dict.fromkeys(made) | {hold_path(f"S-{number}"): None} if self.one_in(3) else made

    def _move(self) -> Edits:
        plan = self._random.choice(["fibre-500", "fibre-100", "gone"])
        made: Edits = dict(self._world.subscriber(self._random.randint(1, 12)))
        return {path: (text or "").replace("plan: fibre-500", f"plan: {plan}") for path, text in made.items()}

    def _collision(self) -> Edits:
        line = f"L-{self._random.randint(1, 12)}"
        onu = self._random.randint(1, 12)
        text = f"type: gpon\nstate: active\nolt: olt1\npon: 0/1/0\nonu: {onu}\nserial: HWTC{onu:08X}\n"
        return {f"lines/{shard(line)}/{line}.yaml": text}

    def _hold(self) -> Edits:
        path = hold_path(f"S-{self._random.randint(1, 12)}")
        effect = self._random.choice(["effect: walled-garden\n", "effect: block\n", None])
        return {path: effect}

    def _site(self) -> Edits:
        return {"network/sites/perth1.yaml": f"name: Perth {self._random.randint(1, 9)}\n"}

    def _stray(self) -> Edits:
        return {"network/notes.txt": None if self.one_in(2) else f"{self._random.random()}\n"}
