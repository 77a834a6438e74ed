"""Has the canary that the tunables name, if any, and hands requests to it; canary.py decides which."""

from collections.abc import Callable
from typing import Any

from configs.schema import CanaryConfig
from models.signature import Signature

from ..core.request import InferRequest, IsDisconnected, OnInferResult
from .canary import Canary, Stable
from .client import CanaryClient, Transport
from .handle import Handle


class CanaryRouter:
    """Has the canary that the tunables name, or none."""

    def __init__(self, signature: Signature, connect: Callable[[str], Transport] = Handle) -> None:
        self._signature = signature
        self._connect = connect
        self._canary: Canary | None = None

    def reconfigure(self, wanted: CanaryConfig | None) -> None:
        """Change the share in place; another application, or none, ends the current canary."""
        canary = self._canary
        if canary is not None and wanted is not None and canary.client.application == wanted.application:
            canary.percent = wanted.percent
            return
        if canary is not None:
            canary.close()
        self._canary = None if wanted is None else self._open(wanted)

    def begin(
        self, request: InferRequest, on_result: OnInferResult, is_disconnected: IsDisconnected | None, stable: Stable
    ) -> bool:
        """Answer a request by the canary, or by `stable` if that fails; return False if it is not for the canary."""
        canary = self._canary
        if canary is None or not canary.takes(request, stable.tunables.max_queue_size):
            return False
        canary.begin(request, on_result, is_disconnected, stable)
        return True

    @property
    def up(self) -> bool:
        return self._canary is not None and self._canary.client.up

    @property
    def version(self) -> str | None:
        """The version in the canary's last status."""
        return None if self._canary is None else self._canary.client.version

    @property
    def status(self) -> dict[str, Any] | None:
        """The canary's last status: `metadata` and `stats`."""
        return None if self._canary is None else self._canary.client.status

    def as_json(self) -> dict[str, Any] | None:
        return None if self._canary is None else self._canary.as_json()

    def _open(self, wanted: CanaryConfig) -> Canary:
        transport = self._connect(wanted.application)
        return Canary(CanaryClient(wanted.application, self._signature, transport), wanted.percent)
