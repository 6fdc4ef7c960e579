"""`trunkline radius disconnect`: which sessions a name means, what the NAS said, and who has to say yes."""

import json
import os

import pytest

from aaa.accounting.record import START
from tests.aaa.test_accounting import record, write
from tests.aaa.test_coa import Loop, loop  # noqa: F401 - a fixture
from tests.support import trunkline


def ask(node, *args: str):
    return trunkline("radius", "disconnect", *args, env={**os.environ, "TRUNKLINE_HOME": str(node.home)})


def test_a_session_ends_with_the_answer_of_its_nas(node, loop: Loop):  # noqa: F811
    """By service: acknowledged, status 0, and the subscriber dials again. A NAK is told as such, status 1."""
    loop.nas.login("s1@example.net", "pw-1")
    done = ask(node, "S-1")
    assert (done.returncode, "acked after" in done.stdout) == (0, True), done.stderr
    assert [line for line in loop.nas.log if line.endswith("disconnected")] == [
        "s1@example.net: disconnected"
    ]
    loop.nas.faults.nak = 1.0
    done = ask(node, "s1@example.net", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["schema"]) == (1, "trunkline.radius-disconnect/1")
    assert [(one["outcome"], one["done"]) for one in told["sessions"]] == [("nak(506)", False)]


def test_several_sessions_want_a_yes(node, loop: Loop, recorded):  # noqa: F811
    """Without a terminal nobody can be asked: status 2 and nothing is sent; with --yes each is told. A session that
    its NAS does not know is gone, which is what was wanted.
    """
    for number in (b"one", b"two"):
        write(recorded, record(START, session_id=number, service="S-2"))
    done = ask(node, "S-2")
    assert done.returncode == 2
    assert "2 live sessions" in done.stderr
    assert loop.nas.log == []
    done = ask(node, "S-2", "--yes")
    assert (done.returncode, done.stdout.count("no-session")) == (0, 2)
    done = ask(node, "S-2")
    assert done.returncode == 3
    assert "has no open session" in done.stderr


def test_a_session_can_be_named_by_its_id(node, loop: Loop):  # noqa: F811
    """Acct-Session-Id and our own reference name one session alone."""
    _reply, one = loop.nas.login("s2@example.net", "pw-2")
    assert one is not None
    loop.nas.stop()
    done = ask(node, one.session_id.decode())
    assert done.returncode == 1
    assert "unreachable" in done.stdout


@pytest.mark.parametrize("name", ["S-1"])
def test_without_a_view_it_says_so(node, recorded, name):
    """The view knows the NASes; where none was built the answer is a sentence."""
    write(recorded, record(START, service=name))
    done = ask(node, name)
    assert done.returncode == 3
    assert "view" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_empty_name_is_nobodys(node, recorded):
    """An empty variable in a script ends no session, though many have no service or login that we know."""
    write(recorded, record(START, service="", login=""))
    for name in ("", "  "):
        done = ask(node, name, "--yes")
        assert done.returncode == 3
        assert "has no open session" in done.stderr
