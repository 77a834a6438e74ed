"""/openapi.json and /docs of a real server: what the description promises of each model, the model does."""

from typing import Any

import jsonschema
import pytest
import requests

from tests.serving import Serving

pytestmark = pytest.mark.ray


@pytest.fixture
def described(serving: Serving) -> dict[str, Any]:
    found: dict[str, Any] = requests.get(f"{serving.url}/openapi.json", timeout=60).json()
    return found


def test_every_example_is_answered_as_the_description_says(serving: Serving, described: dict[str, Any]) -> None:
    asked = 0
    for path, item in described["paths"].items():
        body = item.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {})
        if "example" in body and "{" not in path:
            answer = requests.post(serving.url + path, json=body["example"], timeout=60)
            assert answer.status_code == 200, (path, answer.text)
            if path.endswith("/infer"):
                asked += 1
                told = item["post"]["responses"]["200"]["content"]["application/json"]["schema"]
                wanted = {**told, "components": described["components"]}
                jsonschema.Draft202012Validator(wanted).validate(answer.json())
    assert asked >= 4  # digits, digits-cpu, slow and patient have examples, be they zeros.


def test_every_path_without_a_body_is_answered(serving: Serving, described: dict[str, Any]) -> None:
    paths = [path for path, item in described["paths"].items() if "get" in item and "{" not in path]
    assert "/v2/models/digits/stats" in paths
    assert {path: requests.get(serving.url + path, timeout=60).status_code for path in paths} == dict.fromkeys(
        paths, 200
    )


def test_the_page_has_all_of_its_files(serving: Serving) -> None:
    page = requests.get(f"{serving.url}/docs", timeout=60)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Content-Security-Policy"].startswith("default-src 'self';")
    for path, kind in (("swagger-ui.css", "text/css"), ("swagger-ui-bundle.js", "text/javascript")):
        assert f'"/docs/{path}"' in page.text
        found = requests.get(f"{serving.url}/docs/{path}", timeout=60)
        assert found.headers["Content-Type"] == f"{kind}; charset=utf-8"
        again = requests.get(f"{serving.url}/docs/{path}", headers={"If-None-Match": found.headers["ETag"]}, timeout=60)
        assert (again.status_code, again.content) == (304, b"")
