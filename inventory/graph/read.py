"""Read a graph file, whichever of the two formats it has."""

from pathlib import Path

from inventory.graph import gml, graphml
from inventory.graph.raw import MAX_BYTES, GraphNotReadable, RawGraph, checked, note


def read(path: Path) -> RawGraph:
    """The graph of a GML or GraphML file. Raises GraphNotReadable with the line."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise GraphNotReadable(str(path), 0, f"larger than {MAX_BYTES // 1024 // 1024} MiB")
        raw = path.read_bytes()
    except OSError as error:
        raise GraphNotReadable(str(path), 0, error.strerror or str(error)) from error
    return parse(raw, str(path))


def parse(raw: bytes, path: str) -> RawGraph:
    """The graph in a file's bytes; `path` is only named. XML is GraphML, everything else is GML."""
    if len(raw) > MAX_BYTES:
        raise GraphNotReadable(path, 0, f"larger than {MAX_BYTES // 1024 // 1024} MiB")
    if raw.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return checked(graphml.parse(raw, path))
    text, latin = _text(raw, path)
    graph = gml.parse(text, path)
    if latin:
        message = "the file is not UTF-8; its letters were read as Latin-1"
        graph.notes.append(note(path, latin, "encoding", message))
    return checked(graph)


def _text(raw: bytes, path: str) -> tuple[str, int]:
    """The text, and the line of the first byte that is not UTF-8 (0: all is)."""
    if b"\0" in raw:
        line = raw.count(b"\n", 0, raw.index(b"\0")) + 1
        raise GraphNotReadable(
            path, line, "a NUL byte: this is no text file (or it is UTF-16; save it as UTF-8)"
        )
    try:
        return raw.decode("utf-8-sig"), 0
    except UnicodeDecodeError as error:
        return raw.decode("cp1252", "replace"), raw.count(b"\n", 0, error.start) + 1
