"""A process that lets committer and indexer work until nothing is left; the kill matrix kills it."""

import sys
from pathlib import Path

from tests.intents.rig import Rig

if __name__ == "__main__":
    rig = Rig(Path(sys.argv[1])).open()
    rig.committer.run_until_idle()
    rig.indexer.run_once()
