"""Running, candidate and history of one device, and the commit that undoes itself.

The clock is the device's own (epoch seconds): a deadline survives a kill, and one that passed meanwhile reverts
at the next look. Nothing here knows SSH.
"""

import time
from collections.abc import Callable
from pathlib import Path

from drivers.virtual import store
from drivers.virtual.errors import Refused
from drivers.virtual.grammar import SECTIONS
from drivers.virtual.parser import NotUnderstood, merge, parse, replace_sections
from drivers.virtual.store import Commit, Pending, State
from drivers.virtual.tree import Tree, difference, text
from drivers.virtual.validation import complaints

KEPT = 20


class Configuration:
    """The configuration of a device with `role`, kept in `path`; everything is checked by `expire` first."""

    def __init__(
        self, path: Path, role: str, factory: str = "", clock: Callable[[], float] = time.time
    ) -> None:
        self.path, self.role, self.clock = path, role, clock
        first = Commit(text(parse(factory, role)), clock(), "factory", "")
        self.state = store.load(path, State, State((first,)))
        self._tree = parse(self.running, role)
        self.candidate: Tree | None = None
        self.locked_by: int | None = None
        self.expire()

    @property
    def running(self) -> str:
        """The running configuration as canonical text."""
        return self.state.history[0].text

    @property
    def pending(self) -> Pending | None:
        """The commit that waits for its confirmation."""
        return self.state.pending

    def tree(self) -> Tree:
        """The running configuration as a tree; nobody changes it in place."""
        return self._tree

    def replace(self, session: int, configuration: str) -> None:
        """Make the candidate from a whole configuration."""
        self._load(session, lambda: parse(configuration, self.role))

    def merge(self, session: int, addition: str) -> None:
        """Make the candidate from the candidate (else the running configuration) and some lines."""
        base = self.candidate if self.candidate is not None else self.tree()
        self._load(session, lambda: merge(base, addition, self.role))

    def replace_sections(self, session: int, sections: list[str], configuration: str) -> None:
        """Make the candidate from the running configuration and some sections of a whole one."""
        if unknown := set(sections) - SECTIONS.keys():
            raise Refused(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
        self._load(session, lambda: replace_sections(self.tree(), configuration, sections, self.role))

    def load_earlier(self, session: int, number: int) -> None:
        """Make the candidate from history: 1 is what ran before the last commit."""
        if not 0 <= number < len(self.state.history):
            raise Refused(f"there is no rollback {number}; the oldest is {len(self.state.history) - 1}")
        self._load(session, lambda: parse(self.state.history[number].text, self.role))

    def compare(self) -> str:
        """What a commit would change."""
        return difference(self.tree(), self.candidate) if self.candidate is not None else ""

    def commit(
        self, session: int, login: str, comment: str = "", confirm_within: float | None = None
    ) -> None:
        """Run the candidate; with `confirm_within` (seconds) only until somebody confirms or the time is up."""
        self.take_lock(session)
        if self.pending:
            raise Refused("a commit waits for its confirmation; confirm it or cancel it first")
        if self.candidate is None:
            raise Refused("there is no candidate; load one first")
        if wrong := complaints(self.candidate):
            raise Refused("\n".join(f"commit error, {why}" for why in wrong))
        wanted = text(self.candidate)
        waiting = None
        if confirm_within is not None:
            waiting = Pending(self.clock() + confirm_within, self.running, comment)
        if wanted != self.running or waiting:
            self._run(wanted, login, comment, waiting)
        self.discard(session)

    def confirm(self) -> None:
        """Make the pending commit final."""
        if not self.pending:
            raise Refused("there is no commit to confirm")
        self._save(State(self.state.history))

    def cancel(self, login: str, comment: str = "cancelled") -> None:
        """Run again what ran before the pending commit."""
        if not self.pending:
            raise Refused("there is no commit to cancel")
        self._run(self.pending.revert_to, login, comment, None)

    def expire(self) -> bool:
        """Revert when the deadline of the pending commit has passed; says whether it did."""
        if not self.pending or self.clock() < self.pending.deadline:
            return False
        self.cancel("device", "not confirmed in time")
        return True

    def discard(self, session: int) -> None:
        """Forget the candidate and free the lock, where this session holds it."""
        if self.locked_by == session:
            self.candidate, self.locked_by = None, None

    def take_lock(self, session: int) -> None:
        """Only one session at a time has a candidate."""
        if self.locked_by not in (None, session):
            raise Refused(f"the configuration is locked by session {self.locked_by}")
        self.locked_by = session

    def _load(self, session: int, make: Callable[[], Tree]) -> None:
        self.take_lock(session)
        try:
            self.candidate = make()
        except NotUnderstood as error:
            self.discard(session)
            raise Refused(str(error)) from error

    def _run(self, configuration: str, login: str, comment: str, pending: Pending | None) -> None:
        commit = Commit(configuration, self.clock(), login, comment)
        self._save(State((commit, *self.state.history)[:KEPT], pending))

    def _save(self, state: State) -> None:
        store.save(self.path, state)
        self.state = state
        self._tree = parse(self.running, self.role)
