"""The server's metadata, the same over HTTP and gRPC."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from configs.schema import RootConfig

SERVER_NAME = str(RootConfig.model_fields["server_name"].default)


def server_metadata(name: str, extensions: Sequence[str]) -> dict[str, Any]:
    """Return the protocol's server metadata."""
    try:
        release = version("pitstop")
    except PackageNotFoundError:
        release = "source"
    return {"name": name, "version": release, "extensions": list(extensions)}
