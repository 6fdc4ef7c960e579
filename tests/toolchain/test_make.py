"""`make` and its scripts say what is missing in one line, and do nothing twice."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT, run

SCRIPTS = ["deploy/setup", "deploy/packages", "requirements/compile", ".ci/run"]
TARGETS = ["setup", "demo", "lab", "test", "lint", "format", "docs", "bench", "lock", "wheel"]


def folder_with(tmp_path: Path, programs: list[str], **stubs: str) -> dict[str, str]:
    """An environment whose PATH has only these programs and these stub scripts."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in programs:
        (folder / program).symlink_to(shutil.which(program) or program)
    for name, script in stubs.items():
        path = folder / name.replace("_", "-")
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    return {"PATH": str(folder), "HOME": str(tmp_path)}


def script(name: str, env: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    """Run one of our scripts in that environment only."""
    return subprocess.run(
        ["/bin/bash", ROOT / name, *args], env=env, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_executable_and_parse(name: str):
    """Bash reads every script to its end."""
    assert os.access(ROOT / name, os.X_OK)
    run(["bash", "-n", ROOT / name])


@pytest.mark.parametrize("target", TARGETS)
def test_make_knows_what_the_readme_promises(target: str):
    """Each target exists, and `make help` says what it does."""
    run(["make", "-n", target], cwd=ROOT)
    assert f"  make {target} " in run(["make", "help"], cwd=ROOT).stdout


def test_once_reaches_the_command():
    """`make demo ONCE=1` ends by itself; without it the console stays up."""
    assert "demo --once" in run(["make", "-n", "demo", "ONCE=1"], cwd=ROOT).stdout
    assert "--once" not in run(["make", "-n", "demo"], cwd=ROOT).stdout


def test_setup_names_a_missing_git_with_its_command(tmp_path: Path):
    """Without root nothing is installed: one line says how."""
    env = folder_with(tmp_path, ["dirname", "xargs", "echo", "python3"], id="echo 1000", apt_get="exit 9")
    env["PYTHON"] = str(Path(shutil.which("python3") or "python3"))
    env["PATH"] += ":" + str(tmp_path / "none")
    done = script("deploy/setup", env)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "sudo apt-get install" in done.stderr
    assert "git" in done.stderr


def test_packages_without_root_says_what_is_skipped(tmp_path: Path):
    """A laptop runs the other tests all the same."""
    stub = '[ "$4" = frr ] && exit 1; printf installed'
    env = folder_with(tmp_path, ["dirname", "xargs", "echo", "sed"], id="echo 1000", dpkg_query=stub)
    done = script("deploy/packages", env)
    assert done.returncode == 0
    assert done.stderr.strip().endswith("sudo apt-get install frr")


def test_packages_with_nothing_missing_does_nothing(tmp_path: Path):
    """No apt-get is called, no line is printed."""
    stubs = {"id": "echo 0", "dpkg_query": "printf installed", "apt_get": "exit 9"}
    done = script("deploy/packages", folder_with(tmp_path, ["dirname", "xargs", "echo", "sed"], **stubs))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_packages_as_root_refreshes_old_lists_and_tries_again(tmp_path: Path):
    """A package whose listed version is gone is installed after `apt-get update`."""
    log = tmp_path / "log"
    stubs = {
        "id": "echo 0",
        "dpkg_query": '[ "$4" = frr ] && exit 1; printf installed',
        "apt_cache": "exit 0",
        "apt_get": f'echo "$1" >> {log}; [ "$1" = update ] || [ "$(wc -l < {log})" -gt 1 ]',
    }
    env = folder_with(tmp_path, ["dirname", "xargs", "echo", "sed", "wc", "chmod", "rm"], **stubs)
    env["POLICY"] = str(tmp_path / "policy-rc.d")
    done = script("deploy/packages", env)
    assert done.returncode == 0, done.stderr
    assert log.read_text().split() == ["install", "update", "install"]
    assert not Path(env["POLICY"]).exists()


def test_bench_lists_what_it_can_measure_and_knows_a_wrong_name():
    """`make bench B=nothing` is usage, not a silent success."""
    assert run([sys.executable, "-m", "bench", "--list"], cwd=ROOT).stderr == ""
    assert run([sys.executable, "-m", "bench", "nothing"], cwd=ROOT, check=False).returncode == 2
