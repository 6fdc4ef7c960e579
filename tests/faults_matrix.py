"""Kill a process at a fault point and look at what the next one makes of it. Shared by every room's kill matrix."""

import os
import signal
import subprocess
from collections.abc import Sequence

from tests.forked import forks

KILLED = -signal.SIGKILL


def run_child(
    module: str, args: Sequence[str], fault: str = "", passage: int = 1, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run a module's `main()` in a process of its own, that kills itself at the `passage`-th visit of `fault`."""
    env = os.environ | {"TRUNKLINE_TEST_MODE": "1"}
    env.pop("TRUNKLINE_FAULT", None)
    if fault:
        env["TRUNKLINE_FAULT"] = f"{fault}:{passage}:kill"
    return forks().run(module, args, env, timeout=timeout)
