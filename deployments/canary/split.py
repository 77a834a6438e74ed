"""A model with its canary before it, as a transport sees it (inference.Service); without a canary, the model itself."""

import copy
from collections.abc import Callable
from typing import Any

from configs.loader import parse_tunables
from configs.schema import CanaryConfig, Tunables

from ..batching.queue import OnResult
from ..inference import InferRequest, Outputs, Service
from ..service import ModelService, whole
from .canary import Canary
from .handle import Handle
from .other import Other, Ways


class Split:
    """Decides for each request which version answers it."""

    def __init__(self, stable: ModelService, ways: Callable[[str], Ways] = Handle) -> None:
        self.name, self.version, self.signature = stable.name, stable.version, stable.signature
        self.predict, self.quick, self.guard = stable.predict, stable.quick, stable.guard
        self.timed, self.failed, self.config = stable.timed, stable.failed, stable.config
        self._stable = stable
        self._ways = ways
        self._canary: Canary | None = None
        self._asked = ""

    def reconfigure(self, user_config: dict[str, Any] | None) -> None:
        """Take new tunables, the canary's share among them; a bad one is refused and the old ones stay."""
        wanted = parse_tunables(user_config).canary
        self._stable.reconfigure(user_config)
        found = self._canary
        if found is not None and wanted is not None and found.other.application == wanted.application:
            found.percent = wanted.percent
            return
        if found is not None:
            found.close()
        self._canary = None if wanted is None else self._new(wanted)

    @property
    def tunables(self) -> Tunables:
        return self._stable.tunables

    def at(self, version: str) -> Service | None:
        """Return the one version asked for, where there is one of that name."""
        if version == self.version:
            return self._stable
        if self._canary is None or version != self._canary.other.version:
            return None
        found = copy.copy(self)
        found._asked = version
        return found

    def ready(self) -> bool:
        return self._stable.ready() if not self._asked else self._canary is not None and self._canary.other.up

    def begin(self, request: InferRequest, settle: OnResult) -> None:
        """Answer a checked request by a call of `settle`; afterwards `request.version` is the one that did.

        Raises:
            QueueFull: too much is waiting already.
        """
        canary, asked = self._canary, self._asked or request.version
        if canary is not None and canary.takes(request, asked):
            canary.begin(request, settle, asked)
        else:
            request.version = self.version
            self._stable.begin(request, settle)

    async def infer(self, request: InferRequest) -> Outputs:
        """Answer a checked request; returns every output by name."""
        return await whole(self.begin, request)

    def metadata(self) -> dict[str, Any]:
        found, card = self._stable.metadata(), self._card()
        if card is None:
            return found
        about = card["metadata"] if self._asked else found
        return {**about, "name": self.name, "versions": [self.version, *card["metadata"]["versions"]]}

    def stats(self) -> dict[str, Any]:
        """Return an entry for each version; the canary's are those of the replica that was asked last."""
        found, card = self._stable.stats(), self._card()
        if self._canary is not None:
            found["model_stats"][0]["pitstop"]["canary"] = self._canary.as_json()
        if card is not None:
            found["model_stats"].append({**card["stats"], "name": self.name})
        return found

    def _card(self) -> dict[str, Any] | None:
        return None if self._canary is None else self._canary.other.card

    def _new(self, wanted: CanaryConfig) -> Canary:
        other = Other(wanted.application, self.signature, self._ways(wanted.application))
        return Canary(self._stable, other, wanted.percent)
