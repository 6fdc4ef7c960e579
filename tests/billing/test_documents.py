"""The worked examples of the pages on billing and CRM are true."""

import re

import pytest

from tests.support import ROOT

_PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("document", ["billing.md", "billing/books.md", "billing/papers.md", "crm.md"])
def test_the_worked_examples_hold(document: str):
    """All Python of a document runs as one program; its assertions are the claims."""
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    blocks = _PYTHON.findall(text)
    assert blocks
    exec(compile("\n".join(blocks), document, "exec"), {})
