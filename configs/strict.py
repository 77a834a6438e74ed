"""The base of every class of settings: frozen, and nothing is accepted that the field does not name.

An unknown key is an error, since Ray itself would drop it in silence. Without `strict`, pydantic takes `true` for 1 and
"5" for 5; a field of a tuple switches it off for itself alone, since YAML has lists.
"""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
