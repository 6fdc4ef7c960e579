"""Pipelines that validate and preview every change of a network repository; `trunkline init` writes them."""

from pathlib import Path

_TEMPLATES = Path(__file__).parent / "templates"
PLACES = {"github.yml": ".github/workflows/trunkline.yml"}
"""Template -> its path in the network repository."""


def pipelines(trunk: str = "main") -> dict[str, bytes]:
    """Path -> content of every pipeline, for a repository whose trunk is the branch `trunk`."""
    return {
        path: (_TEMPLATES / name).read_text(encoding="utf-8").replace("@TRUNK@", trunk).encode()
        for name, path in sorted(PLACES.items())
    }
