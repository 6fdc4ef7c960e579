"""A process that lets committer and indexer work until nothing is left; the kill matrix kills it."""

import sys
from pathlib import Path

from tests.intents.rig import Rig


def main() -> None:
    """The folder is the argument."""
    rig = Rig(Path(sys.argv[1])).open()
    rig.committer.run_until_idle()
    rig.indexer.run_once()
