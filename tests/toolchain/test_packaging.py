"""What we ship is what we wrote: packages, wheel, locks, contracts and commands agree."""

import json
import re
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from core.discovery import ROOMS
from tests.support import ROOT, run
from tests.toolchain.sources import name, pyproject, tracked

# Packages of the work tree that are not shipped.
BESIDE = {"tests", "bench"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this work tree, built without any download."""
    folder = tmp_path_factory.mktemp("wheel")
    run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scratch environment with the wheel; dependencies are those of this one, the work tree is not."""
    folder = tmp_path_factory.mktemp("scratch")
    run([sys.executable, "-m", "venv", "--without-pip", folder])
    pip = [
        sys.executable,
        "-m",
        "pip",
        "-q",
        "--disable-pip-version-check",
        "--python",
        f"{folder}/bin/python",
    ]
    run([*pip, "install", "--no-index", "--no-deps", wheel])
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    # A folder that a .pth names is searched, but its own .pth files (our editable install) are not read.
    (folder / "lib" / version / "site-packages" / "dependencies.pth").write_text(
        sysconfig.get_path("purelib") + "\n"
    )
    return folder


def test_the_rooms_are_the_folders_with_an_init():
    """Wheel, import contracts, types and discovery name the same rooms."""
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")} - BESIDE
    tool = pyproject()["tool"]
    assert folders == set(ROOMS)
    assert folders == set(tool["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert folders == set(tool["importlinter"]["root_packages"])
    assert folders | BESIDE == set(tool["mypy"]["files"])
    assert folders | BESIDE == set(tool["ruff"]["lint"]["isort"]["known-first-party"])


def test_the_contract_of_the_floors_holds_every_room():
    """A room that stands on no floor would be bound by nothing."""
    floors = pyproject()["tool"]["importlinter"]["contracts"][0]["layers"]
    assert {room for floor in floors for room in floor.split(" | ")} == set(ROOMS)


def test_the_wheel_holds_every_file_of_the_rooms(wheel: Path):
    """Templates, migrations and pages are shipped too; test data is not."""
    names = set(zipfile.ZipFile(wheel).namelist())
    ours = {name(path) for path in tracked() if name(path).split("/")[0] in ROOMS}
    assert {one for one in ours if "/testdata/" not in one} - names == set()
    assert not [one for one in names if one.split("/")[0] in BESIDE]


def test_the_installed_command_runs_from_any_folder(installed: Path, tmp_path: Path):
    """The wheel needs nothing of the work tree."""
    done = run([installed / "bin" / "trunkline", "--version"], cwd=tmp_path)
    assert done.stdout.strip() == f"trunkline {pyproject()['project']['version']}"
    told = json.loads(
        run([installed / "bin" / "trunkline", "doctor", "--json"], cwd=tmp_path, check=False).stdout
    )
    assert [
        one for one in told["checks"] if one["name"] in ("collisions", "imports") and one["level"] != "ok"
    ] == []


def test_every_room_imports_from_the_wheel(installed: Path, tmp_path: Path):
    """No room of the wheel reaches back into the work tree."""
    script = (
        f"import {', '.join(ROOMS)}, sys; print([m.__file__ for n, m in sys.modules.items() if n in {ROOMS}])"
    )
    places = run([installed / "bin" / "python", "-c", script], cwd=tmp_path).stdout
    assert str(ROOT) + "/" not in places


@pytest.mark.parametrize("lock", ["build", "runtime", "dev"])
def test_locks_pin_every_package_with_hashes_and_name_no_address(lock: str):
    """Exact versions, at least one hash each, nothing about where they come from."""
    text = (ROOT / "requirements" / f"{lock}.lock").read_text()
    blocks = re.split(r"\n(?=[a-z0-9])", text.strip())
    assert blocks
    for block in blocks:
        assert re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==[^ ;]+( ; [^\\]+)? \\\n    --hash=sha256:", block), (
            block[:80]
        )
    assert "://" not in text


def test_the_locks_hold_every_requirement():
    """A requirement that was added to pyproject.toml needs `make lock`."""
    project = pyproject()
    wanted = {"runtime": project["project"]["dependencies"]}
    wanted["build"] = project["dependency-groups"]["build"]
    groups = [one for one in project["dependency-groups"]["dev"] if isinstance(one, str)]
    wanted["dev"] = [*wanted["runtime"], *wanted["build"], *groups]
    for lock, requirements in wanted.items():
        text = (ROOT / "requirements" / f"{lock}.lock").read_text()
        locked = set(re.findall(r"^([a-z0-9._-]+)", text, re.MULTILINE))
        names = {re.split(r"[\[<>=! ]", one)[0].lower() for one in requirements}
        assert names - locked == set()


def test_runtime_and_development_lock_the_same_versions():
    """What is tested is what is installed."""
    pins = {}
    for lock in ("build", "runtime", "dev"):
        text = (ROOT / "requirements" / f"{lock}.lock").read_text()
        pins[lock] = dict(re.findall(r"^([a-z0-9._-]+)(?:\[.*\])?==(\S+)", text, re.MULTILINE))
    assert pins["runtime"].items() <= pins["dev"].items()
    assert pins["build"].items() <= pins["dev"].items()


def test_the_licence_is_apache_2_0():
    """The full text is there, and the wheel says so."""
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert pyproject()["project"]["license"] == "Apache-2.0"
