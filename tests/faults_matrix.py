"""Kill a process at a fault point and look at what the next one makes of it. Shared by every room's kill matrix."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

KILLED = -signal.SIGKILL


def run_child(
    module: str, args: Sequence[str], fault: str = "", passage: int = 1, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run `python -m module args`, killing itself at the `passage`-th visit of `fault` when one is named."""
    env = os.environ | {"TRUNKLINE_TEST_MODE": "1"}
    env.pop("TRUNKLINE_FAULT", None)
    if fault:
        env["TRUNKLINE_FAULT"] = f"{fault}:{passage}:kill"
    return subprocess.run(
        [sys.executable, "-m", module, *args], env=env, capture_output=True, text=True, timeout=timeout
    )
