"""Validating whole trees: folders, revisions, odd files, and the command."""

import json
import os
import subprocess

import pytest

from cli.main import main
from intents import kinds
from intents.tree import NoSuchTree, revision
from intents.validate import examine, validate_dir
from tests.intents.files import network, told, write

S1 = kinds.path_of("service", "V-1")


def git(folder, *args: str) -> str:
    """Run git in a folder, as nobody in particular."""
    identity = {
        f"GIT_{who}_{what}": "t@example.net" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    env = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull}
    return subprocess.run(
        ["git", *args], cwd=folder, env=env, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def clone(tmp_path):
    """A clone with the small network in its first commit."""
    write(tmp_path, network())
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_readmes_pipelines_and_editor_settings_may_be_there(tmp_path):
    """Files that are no intents but belong to a repository are left alone."""
    write(tmp_path, network())
    others = dict.fromkeys(
        ("README.md", ".gitignore", ".github/workflows/ci.yml", "schemas/a.json"), "x: [\n"
    )
    write(tmp_path, {**others, ".vscode/settings.json": "{}"})
    assert validate_dir(tmp_path) == []


def test_files_where_none_belong_are_mistakes(tmp_path):
    """A stray file is told, with the nearest folder."""
    write(
        tmp_path, {**network(), "network/device/r9.yaml": "a: 1\n", "notes.txt": "x", "lines/list.csv": "x"}
    )
    assert told(validate_dir(tmp_path)) == [
        ("path.id", "lines/list.csv", 0, 0),
        ("path.unknown", "network/device/r9.yaml", 0, 0),
        ("path.unknown", "notes.txt", 0, 0),
    ]


def test_links_programs_and_submodules_are_mistakes_in_a_folder(clone):
    """Only plain files with mode 100644 are intents."""
    (clone / "network/sites/linked.yaml").symlink_to("north.yaml")
    (clone / "linked").symlink_to("network")
    (clone / "network/sites/north.yaml").chmod(0o755)
    (clone / "vendor").mkdir()
    git(clone / "vendor", "init", "-q")
    found = told(validate_dir(clone))
    assert found == [
        ("path.symlink", "linked", 0, 0),
        ("path.symlink", "network/sites/linked.yaml", 0, 0),
        ("path.mode", "network/sites/north.yaml", 0, 0),
        ("path.submodule", "vendor", 0, 0),
    ]


def test_links_programs_and_submodules_are_mistakes_in_a_revision(clone):
    """The same from Git's own modes."""
    (clone / "network/sites/linked.yaml").symlink_to("north.yaml")
    git(clone, "add", ".")
    git(clone, "update-index", "--chmod=+x", "network/sites/north.yaml")
    git(
        clone,
        "update-index",
        "--add",
        "--cacheinfo",
        f"160000,{git(clone, 'rev-parse', 'HEAD').strip()},vendor",
    )
    git(clone, "commit", "-q", "-m", "odd")
    assert [(one.code, one.path) for one in examine(revision(clone, "HEAD")).problems] == [
        ("path.symlink", "network/sites/linked.yaml"),
        ("path.mode", "network/sites/north.yaml"),
        ("path.submodule", "vendor"),
    ]
    assert examine(revision(clone, "HEAD~1")).problems == []


def test_a_revision_that_is_not_there_is_a_clear_error(clone):
    """The sentence names the revision."""
    with pytest.raises(NoSuchTree, match="at nowhere"):
        revision(clone, "nowhere")


def test_file_names_that_are_no_text_are_shown_spelled_out(tmp_path):
    """No byte of a file name reaches a terminal as it stands."""
    write(tmp_path, network())
    (tmp_path / os.fsdecode(b"network/sites/a\xff\x1b[31m.yaml")).write_text("name: A\n")
    (found,) = validate_dir(tmp_path)
    assert (found.code, found.path) == ("path.id", "network/sites/a\\xff\\x1b[31m.yaml")


def test_ids_that_differ_only_in_case_are_told_though_one_is_bad(tmp_path):
    """All mistakes at once: a second mistake hides none."""
    write(tmp_path, {**network(), "network/sites/NORTH.yaml": "nam: N\n"})
    assert {one.code for one in validate_dir(tmp_path)} == {"id.case", "key.missing", "key.unknown"}


def test_a_broken_repository_lists_every_class_of_mistake(tmp_path):
    """Many broken files: each is listed, none hides another."""
    write(
        tmp_path,
        {**network(), "network/sites/tab.yaml": "name: A\n\tagent: b\n", "network/sites/no.yaml": ""},
    )
    (tmp_path / "network/sites/big.yaml").write_bytes(b"name: " + b"x" * 10_000_000)
    (tmp_path / "network/sites/bytes.yaml").write_bytes(b"name: \xff\n")
    (tmp_path / "network/sites/bomb.yaml").write_text('a: &a ["x"]\nb: &b [*a, *a]\n')
    assert {one.code for one in validate_dir(tmp_path)} == {
        "yaml.tab", "yaml.empty", "yaml.size", "yaml.utf8", "yaml.anchor", "yaml.alias", "key.unknown", "key.missing",
    }  # fmt: skip


def run(capsys, *args: str) -> tuple[int, str, str]:
    """Status, stdout and stderr of the command."""
    with pytest.raises(SystemExit) as ended:
        main(["validate", *args])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_the_command_answers_yes_with_status_0(tmp_path, capsys):
    """A summary says what was looked at."""
    write(tmp_path, network())
    status, out, _ = run(capsys, str(tmp_path))
    assert status == 0
    assert out.startswith(f"{len(network())} files (1 automation, 1 config, 5 device, ")
    assert out.endswith("no problem\n")


def test_the_command_answers_no_with_status_1_and_every_place(tmp_path, capsys):
    """path:line:column, sentence, hint, code."""
    write(tmp_path, {**network(), "network/sites/a.yaml": "nam: A\n"})
    status, out, _ = run(capsys, str(tmp_path))
    assert status == 1
    assert "network/sites/a.yaml:1:1: error: unknown key 'nam' (did you mean 'name'?) [key.unknown]" in out
    assert out.splitlines()[-1].endswith("2 errors")


def test_warnings_alone_leave_the_status_at_0(tmp_path, capsys):
    """A hold for a missing service is no reason to refuse."""
    write(tmp_path, {**network(), kinds.path_of("hold", "V-7.abuse"): "effect: block\n"})
    status, out, _ = run(capsys, str(tmp_path))
    assert status == 0
    assert out.endswith("1 warning\n")


def test_the_command_speaks_json(clone, capsys):
    """The contract's envelope, of a revision."""
    (clone / "trunkline.yaml").unlink()
    status, out, _ = run(capsys, str(clone), "--rev", "HEAD", "--json")
    said = json.loads(out)
    assert (status, said["schema"], said["valid"], said["problems"]) == (0, "trunkline.validate/1", True, [])
    status, out, _ = run(capsys, str(clone), "--json")
    said = json.loads(out)
    assert (status, said["valid"], said["errors"]) == (1, False, 1)
    assert said["problems"][0] == {
        "code": "config.missing", "message": "there is no trunkline.yaml", "path": "trunkline.yaml", "line": 0,
        "column": 0, "severity": "error", "hint": "trunkline init",
    }  # fmt: skip


def test_a_bare_repository_is_validated_at_its_head(clone, tmp_path_factory, capsys):
    """DIR may be bare: trunk itself."""
    bare = tmp_path_factory.mktemp("bare") / "network.git"
    git(clone, "clone", "-q", "--bare", str(clone), str(bare))
    status, out, _ = run(capsys, str(bare))
    assert status == 0
    assert "no problem" in out


def test_what_cannot_be_read_is_status_3(tmp_path, capsys):
    """No folder, no revision: no answer."""
    assert run(capsys, str(tmp_path / "nowhere"))[0] == 3
    status, _, err = run(capsys, str(tmp_path), "--rev", "HEAD")
    assert status == 3
    assert "cannot read" in err
