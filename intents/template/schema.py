"""templates/<platform>/<name>.j2: the operator's own version of a platform's template."""

from intents.scalars import Platform, Text, Word
from intents.structs import Intent


class Template(Intent, frozen=True, kw_only=True):
    """A Jinja2 template; the whole file is `source`."""

    platform: Platform
    name: Word
    source: Text
