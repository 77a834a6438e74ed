"""An application whose tokens cannot be read does not start, and says why before it loads anything."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.problems import ConfigError
from deployments.ingress import Ingress
from deployments.model import Model

PROJECT = Path(__file__).resolve().parents[3]
NOWHERE: dict[str, Any] = {"tokens_env": "NO_SUCH_TOKENS"}


def digits() -> dict[str, Any]:
    raw = yaml.safe_load((PROJECT / "serve_config.yaml").read_text())
    found: dict[str, Any] = raw["applications"][1]["args"]
    return found


@pytest.mark.parametrize("owner", [Model, Ingress])
def test_a_model_without_its_tokens_does_not_start(owner: Any) -> None:
    replica = owner.__new__(owner)
    with pytest.raises(ConfigError, match=r"no variable NO_SUCH_TOKENS\nhelp: "):
        asyncio.run(owner.__init__(replica, {**digits(), "auth": NOWHERE}, None))
