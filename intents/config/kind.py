"""trunkline.yaml as a kind: one document, `config` `trunkline`."""

from intents.config.complaints import complaints
from intents.config.schema import Config
from intents.kind import Kind

KIND = Kind(
    name="config", struct=Config, pattern="trunkline.yaml", plural="trunkline.yaml", complaints=complaints
)
