"""`python -m drivers.virtual FOLDER`: serve the devices that a fleet left in FOLDER, until the program ends.

Prints one line a device when all listen: name, address, port, host key.
"""

import sys
import threading
from pathlib import Path

from drivers.virtual.fleet import VirtualFleet


def main() -> None:
    """Serve for ever."""
    fleet = VirtualFleet.found_in(Path(sys.argv[1]))
    fleet.start()
    for device in fleet:
        sys.stdout.write(f"{device.name} {device.spec.host} {device.spec.port} {device.host_key}\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main()
