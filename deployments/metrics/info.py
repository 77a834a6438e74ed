"""The labels of `pitstop_info`: what a replica runs, for boards that compare replicas of the same model."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import orjson

from configs.schema import KINDS, ModelConfig, SourceConfig
from models.sources.urls import shown

_LONGEST = 200
WARMED, ANY = "warmed", "any"


def info_of(config: ModelConfig, properties: Mapping[str, Any]) -> dict[str, str]:
    """Return a value for each of prometheus.INFO; `properties` are those of the metadata.

    `shapes`: whether each forward should have a shape that the start warmed, or may have any.
    """
    padded = not config.whole and all(each.padded for each in config.open_dims.values())
    return {
        "model": config.name,
        "version": config.version,
        "source": network_of(config.source),
        "device": str(properties["device"]),
        "backend": str(properties["backend"]),
        "precision": str(properties["precision"]),
        "shapes": WARMED if padded else ANY,
    }


def network_of(source: SourceConfig) -> str:
    """Return what is the same for applications of the same network, such as its GPU's and its CPU's replicas.

    Its factory or file, and a digest of the path of its weights and of its arguments, if it has any: not of what the
    files hold. It has no secret of a URL.
    """
    where = shown(next(value for key in KINDS if (value := getattr(source, key)) is not None))[:_LONGEST]
    given = source.weights and shown(source.weights), source.kwargs, source.task, source.revision
    if not any(given):
        return where
    text = orjson.dumps(given, default=repr, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return f"{where} {sha256(text).hexdigest()[:8]}"
