"""Sites as a kind."""

from intents.kind import Kind
from intents.site.schema import Site

KIND = Kind(name="site", struct=Site, pattern="network/sites/{id}.yaml", plural="sites")
