"""The linux_pppd driver keeps every promise of the driver contract, on a real BNG with a kernel of its own."""

import pytest

from cli.lab.bng import BngLab
from drivers import registry
from drivers.contract import CommitFailed, LiveSession
from tests.drivers.contract_suite import DriverContract, Subject
from tests.linux_pppd.operator import Operator
from tests.support import eventually

pytestmark = [pytest.mark.real, pytest.mark.slow]


class TestLinuxPppd(DriverContract):
    @pytest.fixture
    def subject(self, quiet: BngLab, operator: Operator) -> Subject:
        def dial() -> LiveSession:
            quiet.dial("s1@example.net", "password-1")
            return eventually(quiet.sessions, cap=10)[0]

        base = operator.config()
        return Subject(
            target=quiet.target,
            base=base,
            other=operator.config(**{"ac-name: bng1": "ac-name: other", "sessions: 30": "sessions: 20"}),
            broken=base.replace("-A PAGE -j DROP", "-A PAGE -j NOWHERE").replace(
                "chain page {", "chain page [["
            ),
            live_session=dial,
            revert_in=6,
        )


def test_what_does_not_start_is_undone_before_the_driver_hears_of_it(bng: BngLab, operator: Operator):
    """A change that passes the checks and fails at reload: CommitFailed says restored, and it is."""
    access = "=== 0644 /etc/trunkline/access/eth9"
    broken = f"{operator.config()}{access}.args\n-C bng1\n{access}.pool\n100.64.0.99\n"
    with registry.opened(bng.target) as driver:
        before = driver.get_config()["running"]
        driver.load_replace_candidate(config=broken)
        with pytest.raises(CommitFailed, match="listener on eth9") as caught:
            driver.commit_config(revert_in=60)
        assert caught.value.restored
        assert driver.get_config()["running"] == before
        assert not driver.has_pending_commit()
    assert bng.dial("s1@example.net", "password-1").address


def test_a_power_cut_before_the_confirmation_brings_the_old_configuration_back(
    bng: BngLab, operator: Operator
):
    """The timer is gone with the power; the boot knows that nobody confirmed. Then everything is up by itself."""
    with registry.opened(bng.target) as driver:
        before = driver.get_config()["running"]
        driver.load_replace_candidate(config=operator.config(**{"ac-name: bng1": "ac-name: doomed"}))
        driver.commit_config(revert_in=600)
        assert driver.get_config()["running"] != before
    bng.bng.stop()
    bng.bng.start()
    bng.bng.wait_up()
    with registry.opened(bng.target) as driver:
        assert driver.get_config()["running"] == before
        assert not driver.has_pending_commit()
    eventually(lambda: bng.dial("s1@example.net", "password-1").address, cap=30)


def test_from_nothing_and_back_to_nothing(bng: BngLab, operator: Operator):
    """An empty set of files stops every daemon and removes every file; the next set starts them again."""
    with registry.opened(bng.target) as driver:
        driver.load_replace_candidate(config="")
        driver.commit_config()
        assert driver.get_config()["running"] == ""
    running = bng.on_bng("cat /proc/[0-9]*/comm").output.split()
    assert not {"pppoe-server", "dnsmasq"} & set(running)
    bng.configure(operator.config())
    assert bng.dial("s1@example.net", "password-1").address


def test_a_commit_that_was_cut_off_half_way_is_undone_by_the_next_one(bng: BngLab, operator: Operator):
    """The marker says that files may be mixed: the next commit first brings the whole old set back."""
    with registry.opened(bng.target) as driver:
        driver.load_replace_candidate(config=operator.config(**{"ac-name: bng1": "ac-name: half"}))
        driver.commit_config()
        bng.on_bng("touch /etc/trunkline/state/applying; rm /etc/trunkline/garden/page.html")
        driver.load_replace_candidate(config=operator.config(**{"sessions: 30": "sessions: 20"}))
        driver.commit_config()
        driver.rollback()
        driver.load_replace_candidate(config=operator.config())
        assert driver.compare_config() == ""
