"""Several files as one text: `=== MODE PATH` before each file. The driver of the platform reads it back."""

import msgspec

from core.errors import Terminal

MARK = "=== "


class File(msgspec.Struct, frozen=True):
    """A file on the device, ending in a line break; `mode` as chmod takes it; `origins`: line -> (template, line)."""

    path: str
    mode: int
    text: str
    origins: dict[int, tuple[str, int]] = {}


class MarkInFile(Terminal):
    """A line of a file looks like the beginning of the next file."""

    def __init__(self, path: str) -> None:
        super().__init__(f"a line of {path} begins with '{MARK}', which separates files; change its template")


def bundle(files: list[File]) -> str:
    """The files as one text, ordered as given. Raises MarkInFile."""
    parts = []
    for file in files:
        if any(line.startswith(MARK) for line in file.text.splitlines()):
            raise MarkInFile(file.path)
        parts.append(f"{MARK}{file.mode:04o} {file.path}\n{file.text}")
    return "".join(parts)


def origins_of(files: list[File]) -> dict[int, tuple[str, int]]:
    """Where every line of the bundle comes from; the headings come from nowhere."""
    origins, above = dict[int, tuple[str, int]](), 0
    for file in files:
        origins |= {above + 1 + line: origin for line, origin in file.origins.items()}
        above += 1 + len(file.text.splitlines())
    return origins
