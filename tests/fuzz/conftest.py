"""One `serve run` for all that is rough: a model behind tokens, one without, and the root's pages behind tokens."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import identity, model
from tests.serving import LONG, PROJECT, PROXY, SHORT, Serving, serve_run

ALL, ECHO_ONLY, OPEN_ONLY = (f"{name}-4f1d2c3b5a69788" for name in ("all", "echo", "open"))


# How long a connection may be silent in mid-request.
SILENT_S = "5"


@dataclass(frozen=True)
class Served:
    """A server whose models are `echo`, which asks for a token, and `open`, which does not; so do the root's pages."""

    serving: Serving
    tokens: Path
    path: str

    @property
    def url(self) -> str:
        return self.serving.url


@pytest.fixture(
    scope="package",
    params=[SHORT, pytest.param(LONG, marks=pytest.mark.long), pytest.param(PROXY, marks=pytest.mark.long)],
)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    tokens = tmp_path_factory.mktemp("auth") / "tokens"
    tokens.write_text(f"# for the tests\n{ALL}\n{ECHO_ONLY} echo\n{OPEN_ONLY} open,other\n")

    def edit(raw: dict[str, Any]) -> None:
        access = {"auth": {"tokens_file": str(tokens)}}
        raw["applications"] = raw["applications"][:1]
        raw["applications"][0]["args"].update(access)
        raw["applications"].append(identity("echo", ["FP32", "INT64", "FP16", "BYTES"], [2]))
        raw["applications"][-1]["args"].update(access)
        raw["applications"].append(model("open", ms=1, tunables={"max_body_mib": 1, "max_queue_size": 32}))

    def hasten(raw: dict[str, Any]) -> None:
        edit(raw)
        for owner in [raw["controller_options"], *raw["applications"]]:
            variables = owner["runtime_env"]["env_vars"]
            owner["runtime_env"]["env_vars"] = {**variables, "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": SILENT_S}

    with serve_run(PROJECT / "serve_config.yaml", request.param, hasten) as found:
        yield Served(found, tokens, request.param)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
