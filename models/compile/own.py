"""A backend of the user's: `backend: package.module:function`.

The function is called once, with the prepared module and inputs of the largest batch, and returns what is called in the
module's place. The start checks its answers as any backend's.
"""

from ..errors import ModelError
from ..sources.resolve import resolve
from ..user_code import call_at_start
from .build import Compiled, Uncompiled


def build(given: Uncompiled) -> Compiled:
    """Return what the function makes of the module; raise ModelError if it raises, or returns nothing to call."""
    name = given.config.backend
    advice = "it gets the module and a tuple of its inputs, and returns a callable that takes such inputs"
    made: object = call_at_start(f"backend {name}", advice, resolve(name), given.module, tuple(given.probes[0]))
    if not callable(made):
        raise ModelError(f"backend {name} returned a {type(made).__name__}\nhelp: {advice}")
    return Compiled(made, name)
