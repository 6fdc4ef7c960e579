"""`trunkline init`: a complete repository, told what was mended, never into a folder with something in it."""

import json
from pathlib import Path

import git
import pytest
import yaml

from ci.pipeline import pipelines
from tests.support import trunkline

GRAPH = """\
graph [
  Network "Ring"
  node [ id 0 label "Wien" Latitude 48.2 Longitude 16.37 ]
  node [ id 1 label "Graz" ]
  edge [ source 0 target 1 LinkLabel "10 Gbps" ]
  edge [ source 1 target 1 ]
]
"""


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A graph of two routers that wants mending."""
    path = tmp_path / "ring.gml"
    path.write_text(GRAPH)
    return path


def test_a_graph_becomes_a_repository_that_validates(tmp_path: Path, graph: Path):
    """Everything is there, and `validate` finds no problem."""
    folder = tmp_path / "net"
    done = trunkline("init", folder, "--from-graph", graph, "--asn", "64501", "--currency", "AUD")
    assert f"{graph}:4:1: warning: graz: no coordinates; put at 48.2, 16.37, amid wien" in done.stdout
    assert f"{graph}:6:1: warning: graz: an edge from the node to itself was left out" in done.stdout
    assert f"next: trunkline validate {folder}" in done.stdout
    for path in (
        "trunkline.yaml", "network/sites/wien.yaml", "network/devices/graz.yaml", "network/links/wien--graz.yaml",
        "schemas/device.schema.json", ".vscode/settings.json", ".github/workflows/trunkline.yml", "README.md",
    ):  # fmt: skip
        assert (folder / path).is_file(), path
    assert "no problem" in trunkline("validate", folder).stdout


def test_the_answer_as_json_names_what_was_mended(tmp_path: Path, graph: Path):
    """Mended things are warnings with path, line and code."""
    done = trunkline("init", tmp_path / "net", "--from-graph", graph, "--json")
    told = json.loads(done.stdout)
    assert told["schema"] == "trunkline.init/1"
    assert {(one["code"], one["line"]) for one in told["problems"]} == {
        ("graph.coordinates", 4), ("graph.self-loop", 6),
    }  # fmt: skip


def test_without_a_graph_the_example_is_written_and_committed(tmp_path: Path):
    """`--git` makes a repository with one commit of every file, on main."""
    folder = tmp_path / "net"
    trunkline("init", folder, "--git", "--platform", "virtual")
    repo = git.Repo(folder)
    assert repo.active_branch.name == "main"
    assert not repo.is_dirty(untracked_files=True)
    assert len(list(repo.iter_commits())) == 1
    assert "no problem" in trunkline("validate", folder, "--rev", "HEAD").stdout


def test_a_folder_with_something_in_it_is_refused_in_one_sentence(tmp_path: Path):
    """Nothing is overwritten."""
    (tmp_path / "note.txt").write_text("mine")
    done = trunkline("init", tmp_path, check=False)
    assert done.returncode == 3
    assert "is not empty (it has note.txt); name a folder that is new or empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_a_graph_that_cannot_be_read_writes_nothing(tmp_path: Path):
    """The sentence has the file and the line."""
    bad = tmp_path / "bad.gml"
    bad.write_text("graph [\n node [ id 1\n")
    done = trunkline("init", tmp_path / "net", "--from-graph", bad, check=False)
    assert done.returncode == 3
    assert f"{bad}:2: `node [` begins here and never ends" in done.stderr
    assert not (tmp_path / "net").exists()


def test_an_option_that_makes_no_valid_file_is_refused(tmp_path: Path):
    """A currency that is none."""
    done = trunkline("init", tmp_path / "net", "--currency", "euro", check=False)
    assert done.returncode == 3
    assert "expected an ISO 4217 code" in done.stderr


def test_the_pipeline_is_yaml_and_previews_pull_requests():
    """The workflow runs `trunkline ci`, needs no secret, and knows the trunk's name."""
    workflow = yaml.safe_load(pipelines("trunk")[".github/workflows/trunkline.yml"])
    steps = workflow["jobs"]["preview"]["steps"]
    assert any("trunkline ci" in step.get("run", "") for step in steps)
    assert workflow[True]["pull_request"]["branches"] == ["trunk"]
    assert "secrets." not in json.dumps(workflow)
