"""Put configurations on the lab's routers through the real driver, several at once."""

import time
from concurrent.futures import ThreadPoolExecutor

import msgspec

from cli.lab.routers import Lab
from drivers import registry


class Applied(msgspec.Struct, frozen=True):
    """What an apply did to a router: the difference that it found ("" = none, nothing was run), and seconds."""

    router: str
    difference: str
    seconds: float


def apply_all(lab: Lab, configurations: dict[str, str], workers: int = 4) -> dict[str, Applied]:
    """Replace the routers' configurations over SSH. Raises the first router's CommitFailed."""
    with ThreadPoolExecutor(workers, initializer=lab.enter) as pool:
        done = pool.map(lambda item: apply(lab, *item), configurations.items())
        return {applied.router: applied for applied in done}


def apply(lab: Lab, router: str, configuration: str) -> Applied:
    """Load, compare, and commit when there is a difference. The caller is on the operator's side."""
    begin = time.monotonic()
    with registry.opened(lab.target(router)) as driver:
        driver.load_replace_candidate(config=configuration)
        difference = driver.compare_config()
        if difference:
            driver.commit_config("lab")
        else:
            driver.discard_config()
    return Applied(router, difference, time.monotonic() - begin)
