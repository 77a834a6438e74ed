"""The labels of `pitstop_info`: what a replica runs, for boards that compare replicas of the same model."""

from collections.abc import Mapping
from typing import Any

from configs.schema import KINDS, ModelConfig
from models.sources.urls import shown

_LONGEST = 200
WARMED, ANY = "warmed", "any"


def info_of(config: ModelConfig, properties: Mapping[str, Any]) -> dict[str, str]:
    """Return a value for each of prometheus.INFO; `properties` are those of the metadata.

    `source` is the same for applications that serve the same network. `shapes`: whether each forward should have a
    shape that the start warmed, or may have any.
    """
    source = next(value for key in KINDS if (value := getattr(config.source, key)) is not None)
    padded = not config.whole and all(each.padded for each in config.open_dims.values())
    return {
        "model": config.name,
        "version": config.version,
        "source": shown(source)[:_LONGEST],
        "device": str(properties["device"]),
        "backend": str(properties["backend"]),
        "precision": str(properties["precision"]),
        "shapes": WARMED if padded else ANY,
    }
