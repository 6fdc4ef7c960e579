"""The committer: the only writer of trunk.

`Committer(settings, db, repo, index_db).run_once()`; parked sets: `parked`, `release`, `drop`.
"""

from intents.committer.parking import CountMismatch, NotParked, drop, parked, release
from intents.committer.writer import Committer

__all__ = ["Committer", "CountMismatch", "NotParked", "drop", "parked", "release"]
