"""The base of every class of settings: frozen, and nothing is accepted that the field does not name.

An unknown key is an error, because Ray itself would drop it without a message. Without `strict`, pydantic takes `true`
for 1 and "5" for 5; a field that is a tuple switches it off for itself alone, because YAML has lists.
"""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
