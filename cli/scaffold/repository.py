"""From documents to the files of a network repository."""

import json
from collections.abc import Mapping
from typing import Any

from ci.pipeline import pipelines
from intents import jsonschema
from intents.dump import to_yaml
from intents.kinds import path_of

Documents = Mapping[tuple[str, str], Any]
"""Values by (kind, id)."""


def intent_files(documents: Documents) -> dict[str, bytes]:
    """Path -> canonical YAML of every document."""
    return {path_of(kind, name): to_yaml(kind, value) for (kind, name), value in documents.items()}


def editor_files() -> dict[str, bytes]:
    """JSON Schemas, and the settings with which VS Code's YAML extension completes and checks with them."""
    files = {
        f"schemas/{kind}.schema.json": _json(schema) for kind, schema in sorted(jsonschema.schemas().items())
    }
    settings = {
        "yaml.schemas": {f"./{schema}": globs for schema, globs in sorted(jsonschema.globs().items())},
        "yaml.customTags": [],
        "files.insertFinalNewline": True,
        "[yaml]": {"editor.insertSpaces": True, "editor.tabSize": 2},
    }
    extensions = {"recommendations": ["redhat.vscode-yaml"]}
    return files | {
        ".vscode/settings.json": _json(settings),
        ".vscode/extensions.json": _json(extensions),
    }


def repository_files(documents: Documents, readme: str, trunk: str = "main") -> dict[str, bytes]:
    """Everything of a new network repository, by path."""
    around = editor_files() | pipelines(trunk) | {"README.md": readme.encode()}
    return dict(sorted((intent_files(documents) | around).items()))


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
