"""What intents offer to the others on import: the preview of their guards. Checks load themselves."""

import intents.models
import intents.preview

__all__ = ["intents"]
