"""Configs of tiny models, and one artefact cache for all starts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.serving import PROJECT


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One artefact cache for all starts, as on a machine that serves day after day."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PITSTOP_CACHE", str(folder))
        yield folder


def add_test_models(raw: dict[str, Any]) -> None:
    """Put models with a slow forward beside those of serve_config.yaml; all must fit on two cores."""
    for app in raw["applications"]:
        if app["import_path"] == "deployments.app:model":
            app["args"] = {**app["args"], "num_cpus": 0.5}
    raw["applications"].append(model("slow", tunables={"max_queue_size": 256}))
    raw["applications"].append(model("patient"))
    raw["applications"].append(
        model(
            "tight", ms=200, tunables={"max_queue_size": 2, "request_timeout_s": 5, "max_body_mib": 1}, max_batch_size=1
        )
    )
    raw["applications"].append(identity("echo", ["FP32", "INT64", "FP16", "BYTES"], [2]))
    raw["applications"].append(identity("pixels", ["UINT8"], [3, 224, 224]))


def model(name: str, tunables: dict[str, Any] | None = None, ms: float = 50, **args: Any) -> dict[str, Any]:
    return {
        "name": name,
        "route_prefix": f"/v2/models/{name}",
        "import_path": "deployments.app:model",
        "runtime_env": {"env_vars": RAY_ENV_VARS},
        "args": {
            "name": name,
            "device": "cpu",
            "num_cpus": 0.01,
            "backend": "eager",
            "source": {"factory": "tests.services.slow:Slow", "kwargs": {"ms": ms}},
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 1]}],
            "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 1]}],
            "max_batch_size": 32,
            **args,
        },
        "deployments": [{"name": "Model", "max_ongoing_requests": 1024, "user_config": tunables or {}}],
    }


def identity(name: str, datatypes: list[str], row: list[int]) -> dict[str, Any]:
    """A model that gives INPUT0 back as OUTPUT0, and so on; of BYTES it gives the lengths."""
    gives = ["INT64" if datatype == "BYTES" else datatype for datatype in datatypes]
    preprocess: dict[str, Any] = {"preprocess": "tests.services.identity:text_lengths"} if "BYTES" in datatypes else {}
    return model(
        name,
        source={"factory": "tests.services.identity:Identity"},
        inputs=[{"name": f"INPUT{n}", "datatype": each, "shape": [-1, *row]} for n, each in enumerate(datatypes)],
        outputs=[{"name": f"OUTPUT{n}", "datatype": each, "shape": [-1, *row]} for n, each in enumerate(gives)],
        **preprocess,
    )


_SERVED = yaml.safe_load((PROJECT / "serve_config.yaml").read_text())
RAY_ENV_VARS: dict[str, str] = _SERVED["controller_options"]["runtime_env"]["env_vars"]
