"""The worked examples of the pages on billing and CRM are true."""

import re

import pytest

from tests.support import ROOT

_PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _with_examples() -> list[str]:
    """Documents of billing and CRM that have some."""
    folder = ROOT / "docs"
    found = [folder / "crm.md", folder / "billing.md", *(folder / "billing").glob("*.md")]
    return sorted(
        str(path.relative_to(folder)) for path in found if _PYTHON.search(path.read_text(encoding="utf-8"))
    )


@pytest.mark.parametrize("document", _with_examples())
def test_the_worked_examples_hold(document: str):
    """All Python of a document runs as one program; its assertions are the claims."""
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    blocks = _PYTHON.findall(text)
    assert blocks
    exec(compile("\n".join(blocks), document, "exec"), {})
