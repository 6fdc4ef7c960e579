"""What a request gives: a field that nobody knows is refused, for what is misspelt would be left out in silence."""

from pydantic import BaseModel, ConfigDict


class Given(BaseModel):
    """The body of a request."""

    model_config = ConfigDict(extra="forbid")
