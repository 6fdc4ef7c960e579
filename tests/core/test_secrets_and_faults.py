"""Secrets, redaction, fault points, settings, leases, problems."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from core import clock, crypto, ids, leases, logs
from core.db import Database
from core.problems import Problem, envelope
from core.settings import SettingNotUsable, Settings


def test_a_secret_opens_only_at_its_place() -> None:
    """Path and key name are authenticated: a ciphertext that is moved does not open."""
    key = crypto.DataKey.generate()
    sealed = crypto.seal(key, "geheim", "a.yaml", "x.password")
    assert crypto.open_(key, sealed, "a.yaml", "x.password") == "geheim"
    for path, name in (("b.yaml", "x.password"), ("a.yaml", "y.password")):
        with pytest.raises(crypto.SecretNotReadable, match="another place"):
            crypto.open_(key, sealed, path, name)
    with pytest.raises(crypto.SecretNotReadable, match="damaged"):
        crypto.open_(key, "enc:v1:!!", "a.yaml", "x")


def test_the_data_key_is_kept_wrapped_and_private(tmp_path: Path) -> None:
    """Both files are 0600, and the key opens what it sealed after a restart."""
    files = (tmp_path / "data.key.age", tmp_path / "identity.age")
    sealed = crypto.seal(crypto.create_key(*files), "x", "p", "n")
    assert crypto.open_(crypto.load_key(*files), sealed, "p", "n") == "x"
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    with pytest.raises(crypto.KeyMissing, match="trunkline secret init"):
        crypto.load_key(tmp_path / "none", files[1])


def test_logs_show_no_secret() -> None:
    """By the key's name, by the pattern of a ciphertext, by the word before it."""
    shown = logs.redact(
        {
            "password": "abc",
            "config": "neighbor 1 password abc\nkey enc:v1:QUJD",
            "list": [{"api_token": "abc"}],
        }
    )
    assert "abc" not in str(shown)
    assert "QUJD" not in str(shown)
    assert "neighbor 1 password" in shown["config"]
    assert (
        logs.redact("the secret at 'nas.secrets' does not open")
        == "the secret at 'nas.secrets' does not open"
    )


def test_a_fault_point_kills_only_in_test_mode() -> None:
    """Production never dies of an environment variable."""
    script = (
        "from core import faults; p = faults.declare('t.p'); faults.point(p); faults.point(p); print('alive')"
    )
    for mode, code in (("1", -9), ("0", 0)):
        env = {"TRUNKLINE_FAULT": "t.p:2:kill", "TRUNKLINE_TEST_MODE": mode}
        assert subprocess.run([sys.executable, "-c", script], env=env, capture_output=True).returncode == code


def test_settings_come_from_file_and_environment_and_name_what_is_wrong(tmp_path: Path) -> None:
    """The environment wins; an unknown or odd setting is one sentence."""
    (tmp_path / "settings.toml").write_text("api_port = 9000\nnode = 'a'\n")
    found = Settings.load(tmp_path, {"TRUNKLINE_API_PORT": "9001"})
    assert (found.api_port, found.node) == (9001, "a")
    assert found.repository == tmp_path / "network.git"
    (tmp_path / "settings.toml").write_text("api_prot = 9000\n")
    with pytest.raises(SettingNotUsable, match="api_prot"):
        Settings.load(tmp_path, {})


def test_a_lease_has_one_owner_and_its_epoch_grows_with_every_change(database: Database) -> None:
    """Whoever lost a lease cannot write as if he had it."""
    with clock.frozen(clock.now()), database.write() as conn:
        first = leases.take(conn, "d", "a", 10)
        with pytest.raises(leases.LeaseHeld, match="leased to a"):
            leases.take(conn, "d", "b", 10)
        assert leases.take(conn, "d", "a", 10) == first
        clock.advance(timedelta(seconds=11))
        second = leases.take(conn, "d", "b", 10)
        assert second > first
        assert not leases.is_current(conn, "d", "a", first)
        assert leases.is_current(conn, "d", "b", second)


def test_a_shard_follows_sha256() -> None:
    """The path of S-1 can be computed with sha256sum."""
    assert ids.shard("S-1") == "66/36"


def test_ids_sort_in_the_order_in_which_they_were_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within one millisecond too, and where the clock is set back: two charges of one moment stay first and second."""
    made: list[str] = []
    for moment in (5_000, 5_000, 4_000, 6_000):
        monkeypatch.setattr("time.time_ns", lambda at=moment: at * 1_000_000_000_000)
        made += [ids.new_id("set") for _ in range(2000)]
        made += ids.new_ids("set", 2500)
        made.append(ids.new_id("set"))
    assert len(set(made)) == len(made) == 4 * 4501
    assert made == sorted(made)
    assert {len(one) for one in made} == {30}


def test_a_forked_process_makes_other_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its clock says the same and its last id was the same."""
    monkeypatch.setattr("time.time_ns", lambda: 1)
    ids.new_id("set")
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writer, ids.new_id("set").encode())
        os._exit(0)
    os.waitpid(child, 0)
    mine, theirs = ids.new_id("set"), os.read(reader, 100).decode()
    assert (mine != theirs, len(theirs)) == (True, 30)
    os.close(reader)
    os.close(writer)


def test_a_problem_prints_its_place_and_travels_in_the_envelope() -> None:
    """path:line:column, the sentence, the hint, the code."""
    problem = Problem(
        code="key-unknown", message="unknown key 'adress'", path="a.yaml", line=3, column=5, hint="h"
    )
    assert str(problem) == "a.yaml:3:5: error: unknown key 'adress' (h) [key-unknown]"
    answer = envelope("validate", [problem], ok=False)
    assert answer["schema"] == "trunkline.validate/1"
    assert set(answer["problems"][0]) == {"code", "severity", "path", "line", "column", "message", "hint"}


def test_logs_go_to_standard_error_as_it_is_now(capsys: pytest.CaptureFixture[str]) -> None:
    """A logger outlives the stream that it was configured with: a captured one is closed after its test."""
    logs.configure()
    logs.get("t").warning("heard", password="hidden")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "heard" in shown.err
    assert "hidden" not in shown.err
