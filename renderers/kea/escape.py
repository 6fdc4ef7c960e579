"""What may stand in Kea's configuration: JSON, and nothing that ends a line or begins a directive."""

import json as _json


def json(value: object) -> str:
    """The value as JSON in one line: strings are quoted, `<?include` cannot appear outside of one. Raises TypeError."""
    return _json.dumps(value, ensure_ascii=True)
