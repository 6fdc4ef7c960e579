"""The small network of these tests is good, and every kind is in it."""

import pytest

from intents import dump, kinds, loader
from intents.loader import Document
from tests.intents.files import documents, network, problems


def test_a_good_network_has_no_problem(tmp_path):
    """The files that other tests break are good before that."""
    assert problems(tmp_path, network()) == []


def test_every_kind_has_an_example():
    """A new kind comes with a file."""
    assert {document.kind for document in documents(network())} == set(kinds.KINDS)


@pytest.mark.parametrize("path", network())
def test_a_dumped_document_loads_as_the_same_value(path):
    """Canonical YAML is the inverse of loading, and its own canonical form."""
    document = loader.load(path, network()[path].encode())
    assert isinstance(document, Document), document
    canonical = dump.to_yaml(document.kind, document.value)
    again = loader.load(path, canonical)
    assert isinstance(again, Document), again
    assert again.value == document.value
    assert dump.to_yaml(again.kind, again.value) == canonical


@pytest.mark.parametrize("path", network())
def test_a_cached_value_is_the_same_value(path):
    """msgpack and back gives an equal structure."""
    document = loader.load(path, network()[path].encode())
    assert isinstance(document, Document)
    assert loader.decode_value(document.kind, dump.encode_value(document.value)) == document.value
