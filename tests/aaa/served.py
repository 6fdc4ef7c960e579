"""Body of a child process: a node's RADIUS server over its snapshot, until the parent closes our stdin."""

import json
import sys
from pathlib import Path

from aaa.radius.limits import Limits
from aaa.radius.server import RadiusServer
from core.settings import Settings


def main() -> None:
    """Arguments: home, auth port, acct port, workers (0: in this process). Prints the ports as JSON."""
    home, auth, acct, workers = sys.argv[1], *map(int, sys.argv[2:5])
    settings = Settings.load(
        Path(home), radius_auth_port=auth, radius_acct_port=acct, radius_workers=workers or 1
    )
    with RadiusServer(settings, limits=Limits(reject_delay=0.0), in_process=workers == 0) as server:
        print(
            json.dumps({"auth": server.auth_port, "acct": server.acct_port, "pids": server.pids}), flush=True
        )
        sys.stdin.read()
