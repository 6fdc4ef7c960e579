"""The driver contract as tests: a platform runs all of them by a subclass and one fixture.

    class TestFrr(DriverContract):
        @pytest.fixture
        def subject(self) -> Subject:
            return Subject(target=…, base=…, other=…, addition=…, broken=…)

What a platform cannot do is declared in its CAPABILITIES, never skipped: then the suite asks for NotSupported.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from drivers import registry
from drivers.contract import (
    Capabilities,
    CommitFailed,
    DeviceUnreachable,
    Driver,
    HostKeyMismatch,
    LiveSession,
    LoginRefused,
    NotSupported,
    ObjectOp,
    Target,
)
from tests.support import eventually, free_port

OBSERVABLE = ("neighbours", "onus", "stations", "sessions")


@dataclass
class Subject:
    """A device to try and what to try on it; configurations are whole and in the platform's own language."""

    target: Target
    base: str
    """What the device can run."""
    other: str
    """Something else that it can run."""
    addition: str = ""
    """Lines to merge on top of `base`; needed where merge is declared."""
    broken: str = ""
    """What the device refuses, at load or at commit."""
    live_session: Callable[[], LiveSession] | None = None
    """Makes a subscriber session appear; needed where end_session is declared."""
    objects: tuple[ObjectOp, ...] = ()
    """Puts that build on each other, of every declared kind; the suite also deletes them, last first."""
    revert_in: int = 2
    """Seconds of a commit-confirm, as short as the platform takes."""
    cap: float = 20.0
    """Seconds to wait for a timer or a session's end."""
    normalise: Callable[[str], str] = field(default=str.strip)
    """Removes from a running configuration what changes by itself (time stamps)."""

    @property
    def can(self) -> Capabilities:
        """What the platform declares."""
        return registry.capabilities(self.target.platform)


def running(subject: Subject, driver: Driver) -> str:
    """The running configuration without what changes by itself."""
    return subject.normalise(driver.get_config(retrieve="running")["running"])


def apply(driver: Driver, configuration: str, **how: Any) -> None:
    """Replace and commit."""
    driver.load_replace_candidate(config=configuration)
    driver.commit_config(**how)


def is_running(subject: Subject, driver: Driver, configuration: str) -> bool:
    """Whether replacing by this configuration would change nothing."""
    driver.load_replace_candidate(config=configuration)
    empty = driver.compare_config() == ""
    driver.discard_config()
    return empty


def changed_target(target: Target, **changes: Any) -> Target:
    """The target with other fields."""
    return msgspec.structs.replace(target, **changes)


class DriverContract:
    """Every promise of `drivers.contract`, one test each. Subclasses give the fixture `subject`."""

    @pytest.fixture
    def subject(self) -> Subject:
        raise NotImplementedError("a platform's test class gives the fixture `subject`")

    @pytest.fixture
    def driver(self, subject: Subject):
        """An open driver of a device that runs `base`: it compares first, a commit may take its device seconds."""
        with registry.opened(subject.target) as opened:
            if subject.can.replace and not is_running(subject, opened, subject.base):
                apply(opened, subject.base)
            yield opened

    # -- loading and comparing -----------------------------------------------------------------------------

    def test_loading_changes_nothing_that_runs(self, subject, driver):
        """A candidate is only a candidate: running stays as it was."""
        before = running(subject, driver)
        driver.load_replace_candidate(config=subject.other)
        assert driver.compare_config() != ""
        assert running(subject, driver) == before

    def test_discarding_forgets_the_candidate(self, subject, driver):
        """After discard there is nothing to compare and nothing to commit."""
        driver.load_replace_candidate(config=subject.other)
        driver.discard_config()
        assert driver.compare_config() == ""
        assert is_running(subject, driver, subject.base)

    def test_a_committed_configuration_runs_and_a_second_apply_is_empty(self, subject, driver):
        """Replace puts the whole configuration in place; the same again would change nothing."""
        apply(driver, subject.other)
        driver.load_replace_candidate(config=subject.other)
        assert driver.compare_config() == ""
        before = running(subject, driver)
        driver.commit_config()
        assert running(subject, driver) == before

    def test_the_running_configuration_survives_the_session(self, subject, driver):
        """What was committed in one session is seen by the next."""
        apply(driver, subject.other)
        with registry.opened(subject.target) as again:
            assert is_running(subject, again, subject.other)

    def test_merging_adds_lines_or_is_declared_impossible(self, subject, driver):
        """A merge adds to what runs and replacing by the old configuration takes it away again."""
        if not subject.can.merge:
            with pytest.raises(NotSupported):
                driver.load_merge_candidate(config=subject.addition)
            return
        driver.load_merge_candidate(config=subject.addition)
        assert driver.compare_config() != ""
        driver.commit_config()
        assert not is_running(subject, driver, subject.base)
        driver.load_merge_candidate(config=subject.addition)
        assert driver.compare_config() == ""
        driver.discard_config()
        apply(driver, subject.base)
        assert is_running(subject, driver, subject.base)

    def test_sections_are_replaced_alone_or_it_is_declared_impossible(self, subject, driver):
        """No section of ours: nothing changes. All of them: the same as a replace."""
        if not subject.can.sections:
            assert not hasattr(driver, "load_sections_candidate")
            return
        driver.load_sections_candidate(subject.other, [])
        assert driver.compare_config() == ""
        driver.load_sections_candidate(subject.other, sorted(subject.can.sections))
        driver.commit_config()
        assert is_running(subject, driver, subject.other)

    # -- undoing -------------------------------------------------------------------------------------------

    def test_running_to_intended_to_rollback_is_running_again(self, subject, driver):
        """Rollback restores the configuration before the last commit to the letter."""
        before = running(subject, driver)
        apply(driver, subject.other)
        assert running(subject, driver) != before
        driver.rollback()
        assert running(subject, driver) == before
        assert is_running(subject, driver, subject.base)

    def test_a_refused_configuration_leaves_the_old_one_running(self, subject, driver):
        """CommitFailed at load or commit says what the device said, and the old configuration runs."""
        before = running(subject, driver)
        with pytest.raises(CommitFailed) as caught:
            apply(driver, subject.broken)
        assert caught.value.answer.strip()
        if not caught.value.restored:
            driver.rollback()
        driver.discard_config()
        assert running(subject, driver) == before
        assert is_running(subject, driver, subject.base)

    def test_after_a_refused_configuration_a_good_one_is_taken(self, subject, driver):
        """A failed commit leaves no lock and no half-loaded candidate behind."""
        with pytest.raises(CommitFailed):
            apply(driver, subject.broken)
        apply(driver, subject.other)
        assert is_running(subject, driver, subject.other)

    # -- commit-confirm ------------------------------------------------------------------------------------

    def test_a_plain_commit_leaves_nothing_pending(self, subject, driver):
        """Without revert_in a commit is final."""
        apply(driver, subject.other)
        assert driver.has_pending_commit() is False

    def test_an_unconfirmed_commit_is_pending_and_confirming_makes_it_final(self, subject, driver):
        """Confirm ends the timer: nothing reverts afterwards."""
        if subject.can.revert == "none":
            self._refuses_revert_in(subject, driver)
            return
        apply(driver, subject.other, revert_in=60)
        assert driver.has_pending_commit() is True
        driver.confirm_commit()
        assert driver.has_pending_commit() is False
        assert is_running(subject, driver, subject.other)

    def test_rollback_of_an_unconfirmed_commit_restores_at_once(self, subject, driver):
        """Nobody has to wait for the timer."""
        if subject.can.revert == "none":
            self._refuses_revert_in(subject, driver)
            return
        before = running(subject, driver)
        apply(driver, subject.other, revert_in=60)
        driver.rollback()
        assert driver.has_pending_commit() is False
        assert running(subject, driver) == before

    def test_a_hard_revert_happens_without_us(self, subject, driver):
        """hard: the session is gone, the device's own timer restores the old configuration."""
        if subject.can.revert != "hard":
            return self._soft_revert_is_ours(subject, driver)
        before = running(subject, driver)
        apply(driver, subject.other, revert_in=subject.revert_in)
        assert running(subject, driver) != before
        driver.close()
        eventually(lambda: self._reverted(subject, before), cap=subject.revert_in + subject.cap)
        return None

    def _reverted(self, subject: Subject, before: str) -> bool:
        with registry.opened(subject.target) as again:
            return running(subject, again) == before and not again.has_pending_commit()

    def _soft_revert_is_ours(self, subject: Subject, driver: Driver) -> None:
        """soft: a pending commit is remembered, also by a new session, until somebody rolls it back."""
        if subject.can.revert == "none":
            self._refuses_revert_in(subject, driver)
            return
        before = running(subject, driver)
        apply(driver, subject.other, revert_in=subject.revert_in)
        driver.close()
        with registry.opened(subject.target) as again:
            assert again.has_pending_commit() is True
            again.rollback()
            assert running(subject, again) == before
            assert again.has_pending_commit() is False

    def _refuses_revert_in(self, subject: Subject, driver: Driver) -> None:
        driver.load_replace_candidate(config=subject.other)
        with pytest.raises(NotSupported):
            driver.commit_config(revert_in=subject.revert_in)
        driver.discard_config()

    # -- sessions with the device --------------------------------------------------------------------------

    def test_an_open_driver_is_alive_and_names_its_device(self, subject, driver):
        """is_alive and get_facts answer in NAPALM's shapes."""
        assert driver.is_alive() == {"is_alive": True}
        facts = driver.get_facts()
        assert {"hostname", "vendor", "model", "os_version", "serial_number"} <= facts.keys()
        driver.close()
        assert driver.is_alive() == {"is_alive": False}

    def test_a_wrong_host_key_is_refused_before_login(self, subject):
        """Pinned keys protect the password: a mismatch shows both keys."""
        wrong = changed_target(subject.target, host_key="SHA256:" + "A" * 43)
        with pytest.raises(HostKeyMismatch) as caught:
            registry.create(wrong).open()
        assert subject.target.host_key in str(caught.value)

    def test_a_device_without_a_pinned_key_is_refused(self, subject):
        """No pin, no login: the error shows the key to pin."""
        with pytest.raises(HostKeyMismatch, match=subject.target.host_key.replace("+", r"\+")):
            registry.create(changed_target(subject.target, host_key="")).open()

    def test_a_wrong_password_is_refused(self, subject):
        """LoginRefused is terminal: trying again would only trip the device's own lock."""
        with pytest.raises(LoginRefused):
            registry.create(changed_target(subject.target, password="wrong", key_path="")).open()

    def test_an_unreachable_device_is_worth_another_try(self, subject):
        """DeviceUnreachable is retryable."""
        nowhere = changed_target(subject.target, host="127.0.0.1", port=free_port(), timeout=2.0)
        with pytest.raises(DeviceUnreachable):
            registry.create(nowhere).open()

    # -- observation, sessions, objects --------------------------------------------------------------------

    def test_observation_fills_what_is_declared_and_nothing_else(self, subject, driver):
        """Parts that the capabilities do not name stay None: nobody mistakes silence for zero."""
        seen = driver.observe()
        filled = {part for part in OBSERVABLE if getattr(seen, part) is not None}
        assert filled == subject.can.observe & set(OBSERVABLE)
        if "optics" in subject.can.observe:
            assert all(onu.receive_power is not None for onu in seen.onus or () if onu.online)

    def test_a_session_is_ended_or_it_is_declared_impossible(self, subject, driver):
        """end_session says True when the session is gone, False when there was none."""
        absent = LiveSession(session_id="no-such-session", login="nobody@example.net", interface="ppp9999")
        if not subject.can.end_session:
            with pytest.raises(NotSupported):
                driver.end_session(absent)
            return
        assert subject.live_session is not None, "the subject must make a session for what it declares"
        live = subject.live_session()
        assert driver.end_session(live) is True
        eventually(
            lambda: live.session_id not in {seen.session_id for seen in driver.observe().sessions or ()},
            cap=subject.cap,
        )
        assert driver.end_session(absent) is False

    def test_objects_are_put_and_deleted_once(self, subject, driver):
        """Each op says whether it changed something; the same op again changes nothing."""
        if not subject.can.objects:
            with pytest.raises(NotSupported):
                driver.apply_objects([ObjectOp(op="put", kind="onu", key={"pon": "0/1/0", "onu": 1})])
            return
        assert {op.kind for op in subject.objects} == subject.can.objects
        puts = list(subject.objects)
        deletes = [ObjectOp(op="delete", kind=op.kind, key=op.key) for op in reversed(puts)]
        for ops in (puts, deletes):
            assert [(r.ok, r.changed) for r in driver.apply_objects(ops)] == [(True, True)] * len(ops)
            assert [(r.ok, r.changed) for r in driver.apply_objects(ops)] == [(True, False)] * len(ops)

    def test_an_unknown_kind_of_object_is_not_supported(self, subject, driver):
        """Undeclared kinds raise before anything is sent."""
        with pytest.raises(NotSupported):
            driver.apply_objects([ObjectOp(op="put", kind="no-such-kind", key={})])


__all__ = ["DriverContract", "Subject"]
