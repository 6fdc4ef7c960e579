"""The router's side of the driver, without a router: its state on disk and what it refuses."""

import json
import subprocess
from pathlib import Path

import pytest

from drivers.frr import on_device
from drivers.frr.on_device import Router


class PretendRouter(Router):
    """A router whose FRR is a text; `fails` makes the reload tool stop half way."""

    def __init__(self, folder: Path) -> None:
        super().__init__("", folder, 5)
        self.__dict__.update(config="hostname old\n!\n", fails=False)

    def vtysh(self, *arguments):
        if arguments[-1].startswith("show running"):
            return subprocess.CompletedProcess(arguments, 0, self.__dict__["config"], "")
        return subprocess.CompletedProcess(arguments, 0, "", "")

    def reconcile(self, mode, target):
        wanted = target.read_text()
        if mode == "--test":
            shown = "" if wanted == self.__dict__["config"] else "interface eth0\n"
            return subprocess.CompletedProcess([], 0, shown, "")
        broken = "broken" in wanted
        self.__dict__["config"] = "half\n!\n" if broken else wanted
        return subprocess.CompletedProcess([], int(broken), "", "% no such neighbour\n" if broken else "")

    @property
    def startup(self) -> Path:
        return self.state / "frr.conf"


@pytest.fixture
def router(tmp_path):
    made = PretendRouter(tmp_path)
    made.startup.write_text("startup of before\n")
    return made


def staged(router, text):
    router.file("candidate.conf").write_text(text)
    return router


def ask(router, line):
    return on_device.answer(router, line.split())


@pytest.fixture(autouse=True)
def stdin(monkeypatch):
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("a message"))


def test_a_failed_commit_restores_what_ran(router):
    """The answer carries FRR's words and says that the old configuration runs."""
    answer = ask(staged(router, "broken\n!\n"), "commit replace 0")
    assert answer == {"ok": True, "applied": False, "restored": True, "text": "% no such neighbour"}
    assert router.running() == "hostname old\n!\n"


def test_a_pending_commit_leaves_what_a_reboot_loads(router):
    """Until it is confirmed, a power cut brings the old configuration back."""
    ask(staged(router, "hostname new\n!\n"), "commit replace 60")
    assert router.startup.read_text() == "startup of before\n"
    assert ask(router, "status")["state"] == "pending"
    assert ask(router, "confirm")["ok"]
    assert ask(router, "status")["state"] == "idle"


def test_a_second_commit_waits_for_the_first_ones_confirmation(router):
    """Else its rollback would restore a configuration that nobody confirmed."""
    ask(staged(router, "hostname new\n!\n"), "commit replace 60")
    answer = ask(staged(router, "hostname newer\n!\n"), "commit replace 0")
    assert not answer["ok"]
    assert "confirm it or roll back" in answer["text"]


def test_a_commit_that_was_cut_off_is_known_and_can_be_rolled_back(router):
    """A killed script leaves `applying` and no lock: what ran before it stays the place to go back to."""
    ask(staged(router, "hostname new\n!\n"), "commit replace 0")
    on_device.set_state(router, "applying")
    router.__dict__["config"] = "half\n!\n"
    assert ask(router, "status")["interrupted"]
    assert ask(router, "rollback") == {"ok": True, "restored": True}
    assert router.running() == "hostname old\n!\n"


def test_one_change_at_a_time(router):
    """Whoever comes second is told to come again, and nothing is done."""
    with on_device.only_one(router):
        answer = ask(staged(router, "hostname new\n!\n"), "commit replace 0")
    assert (answer["ok"], answer["busy"]) == (False, True)
    assert router.running() == "hostname old\n!\n"


def test_a_killed_scripts_tools_keep_the_lock_until_they_end(router):
    """A rollback never runs beside a reload that is still at work."""
    with on_device.only_one(router):
        tool = subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False)
    assert ask(router, "rollback")["busy"]
    tool.communicate()
    assert not ask(router, "rollback")["busy"]  # refused for want of a previous configuration


def test_only_its_own_verbs_and_plain_show_commands_are_answered(router):
    """The key gives no shell, and `show` gives no pipe."""
    assert not ask(router, "rm -rf /")["ok"]
    assert not on_device.answer(router, ["show", "running-config | tee /etc/passwd"])["ok"]
    assert not on_device.answer(router, [])["ok"]


def test_the_hosts_own_lines_stay_in_a_replacement():
    """Logging and forwarding are not ours to remove; line numbers of the candidate stay true."""
    running = "log syslog informational\nno ipv6 forwarding\nrouter ospf\nexit\n"
    assert on_device.with_system_lines("hostname r1\nend\n", running) == (
        "hostname r1\nlog syslog informational\nno ipv6 forwarding\nend\n"
    )


def test_state_is_whole_or_absent(router):
    """A torn state file reads as idle; files are for their owner only."""
    router.file("state.json").write_text('{"state": "pend')
    assert on_device.read_state(router) == {"state": "idle"}
    on_device.set_state(router, "pending", deadline=1)
    assert json.loads(router.file("state.json").read_text()) == {"state": "pending", "deadline": 1}
    assert router.file("state.json").stat().st_mode & 0o777 == 0o600
