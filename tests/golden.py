"""Golden files: what a pure function gave once, reviewed as a diff; `--regenerate-golden` writes them anew."""

import difflib
from pathlib import Path

import pytest


class Golden:
    """Compares text with a file, or writes the file when asked to."""

    def __init__(self, regenerate: bool) -> None:
        self.regenerate = regenerate

    def check(self, path: Path, text: str) -> None:
        """Fail with the difference when `text` is not what the file says."""
        if self.regenerate:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            return
        if not path.exists():
            pytest.fail(f"{path} is missing; run with --regenerate-golden and review it", pytrace=False)
        known = path.read_text()
        if known != text:
            lines = difflib.unified_diff(known.splitlines(), text.splitlines(), str(path), "now", lineterm="")
            pytest.fail("\n".join(["not as in the golden file (--regenerate-golden)", *lines]), pytrace=False)
