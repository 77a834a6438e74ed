"""What the terminal of `serve run` says when something is wrong, and what Prometheus gets when all is well."""

import json
from typing import Any

import pytest
import requests

from tests.e2e.conftest import model
from tests.e2e.test_service import tensor, together
from tests.serving import PROJECT, SHORT, Serving, serve_run

pytestmark = pytest.mark.ray


def one_good_one_bad(raw: dict[str, Any]) -> None:
    raw["applications"] = [app for app in raw["applications"] if app["name"] in ("root", "digits")]
    digits = raw["applications"][1]
    digits["args"] = {**digits["args"], "source": {**digits["args"]["source"], "sha256": "0" * 64}}
    raw["applications"].append(model("slow"))


def test_a_model_that_may_not_serve_says_why_and_the_others_serve(cache: object) -> None:  # noqa: ARG001
    with serve_run(PROJECT / "serve_config.yaml", SHORT, one_good_one_bad) as serving:
        assert "pitstop is ready: slow, without digits" in serving.log
        assert "digits will not be served" in serving.log
        assert "sha256 is b018b7" in serving.log
        assert "restore the file, or update sha256 if you trust it" in serving.log
        [answer] = together(serving, "slow", [tensor(1)])
        assert answer[0] == 200
        gone = requests.get(serving.model("digits"), timeout=20)
        assert gone.status_code in (404, 503)
        assert requests.get(f"{serving.url}/v2/health/ready", timeout=20).status_code == 503
        together(serving, "slow", [tensor(n) for n in range(20)])
        assert {"pitstop_requests", "pitstop_batch_rows", "pitstop_forward_ms"} <= exported(serving)


def exported(serving: Serving) -> set[str]:
    """Return the names of our metrics as a Prometheus would scrape them, once a second's counts have come."""
    listing = next(serving.folder.rglob("prom_metrics_service_discovery.json"))
    targets = [target for group in json.loads(listing.read_text()) for target in group["targets"]]
    while True:
        text = "".join(requests.get(f"http://{target}/metrics", timeout=20).text for target in targets)
        names = {line.split("{")[0].removeprefix("ray_") for line in text.splitlines() if "pitstop_" in line}
        found = {name.removesuffix(end) for name in names for end in ("", "_total", "_bucket", "_count", "_sum")}
        if "pitstop_requests" in found:
            return found
