"""A server's own description: true of each model, valid, and with requests that the model answers."""

from typing import Any

import jsonschema
import numpy as np
import orjson
import pytest
from schemathesis import openapi

from deployments.core import errors
from deployments.openapi.description import general
from deployments.openapi.document import Described, document
from deployments.openapi.model_schemas import example_request
from models.signature import Tensor
from tests.deployments.fake_service import FakeService, ask, identity, signature, three_kinds

SERVER = {"name": "mine", "version": "0.1.0"}


def metadata(service: FakeService, example: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "name": service.name,
        "versions": ["1"],
        "inputs": [each.describe() for each in service.signature.inputs],
        "outputs": [each.describe() for each in service.signature.outputs],
        "properties": {} if example is None else {"example": example},
    }


def described(
    *services: FakeService, secured: bool = False, left_out: dict[str, str] | None = None, **of_model: Any
) -> dict[str, Any]:
    models = {each.name: Described(metadata(each, **of_model), secured) for each in services}
    found: dict[str, Any] = orjson.loads(orjson.dumps(document(general(), SERVER, models, left_out or {}, secured)))
    return found


def two_inputs() -> FakeService:
    declared = signature([Tensor("x", "FP32", (-1, 2)), Tensor("n", "UINT8", (-1,))], [Tensor("y", "FP32", (-1, 2))])
    return FakeService(declared, lambda rows: {"y": rows["x"]})


def texts() -> FakeService:
    declared = signature([Tensor("text", "BYTES", (-1,))], [Tensor("vector", "FP32", (-1, 3))])
    return FakeService(declared, lambda rows: {"vector": np.ones((len(rows["text"]), 3), np.float32)})


def test_it_is_valid_openapi_of_all_routes() -> None:
    found = openapi.from_dict(described(identity("FP32", 2)))
    found.validate()
    assert [each.err() for each in found.get_all_operations() if not hasattr(each, "ok")] == []
    assert found.raw_schema["openapi"] == "3.1.0"


def test_the_general_paths_become_those_of_each_model() -> None:
    model, other = identity("FP32", 2), texts()
    other.name = "other"
    paths = described(model, other)["paths"]
    assert "/v2/models/fake/infer" in paths
    assert "/v2/models/other/versions/{version}/predict" in paths
    assert not any("{model}" in path for path in paths)
    general_ = {path for path in general()["paths"] if "{model}" in path}
    assert {path.replace("{model}", "other") for path in general_} <= paths.keys()
    assert {path for path in general()["paths"] if "{model}" not in path} <= paths.keys()


def test_embeddings_are_listed_for_models_that_give_them_alone() -> None:
    assert "/v2/models/fake/v1/embeddings" in described(texts())["paths"]
    found = described(identity("FP32", 2))
    assert "/v2/models/fake/v1/embeddings" not in found["paths"]
    assert "enum" not in found["components"]["schemas"]["EmbeddingsRequest"]["properties"]["model"]


def test_no_two_operations_share_a_name() -> None:
    other = identity("FP32", 2)
    other.name = "other"
    paths = described(identity("FP32", 2), other)["paths"]
    names = [item[key]["operationId"] for item in paths.values() for key in ("get", "post") if key in item]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("service", [identity("FP32", 2), identity("INT64", 2, 3), identity("BOOL"), two_inputs()])
def test_the_examples_are_answered_and_request_and_answer_fit_their_schemas(service: FakeService) -> None:
    found = described(service)
    for route, kind in (("/infer", "InferRequest"), ("/predict", "PredictRequest")):
        operation = found["paths"][f"/v2/models/fake{route}"]["post"]
        example = operation["requestBody"]["content"]["application/json"]["example"]
        fits(found, f"fake.{kind}", example)
        answer = ask(service, route, example, headers={"content-type": "application/json"})
        assert answer.status == 200, answer.body
        if route == "/infer":
            fits(found, "fake.InferAnswer", answer.json)
            fits(found, "fake.InferAnswer", operation["responses"]["200"]["content"]["application/json"]["example"])


def fits(found: dict[str, Any], schema: str, value: object) -> None:
    wanted = {"$ref": f"#/components/schemas/{schema}", "components": found["components"]}
    jsonschema.Draft202012Validator(wanted).validate(value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"inputs": []},
        {"inputs": [{"name": "INPUT1", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]},
        {"inputs": [{"name": "INPUT0", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}]},
        {"inputs": [{"name": "INPUT0", "shape": [1, 2], "datatype": "INT8", "data": [1, 2]}]},
        {"inputs": [{"name": "INPUT0", "shape": [1, 2], "datatype": "FP32", "data": ["1", "2"]}]},
    ],
)
def test_what_the_model_refuses_its_schema_refuses(wrong: dict[str, Any]) -> None:
    service = identity("FP32", 2)
    assert ask(service, "/infer", wrong).status == 400
    with pytest.raises(jsonschema.ValidationError):
        fits(described(service), "fake.InferRequest", wrong)


def test_it_says_how_a_file_is_read_where_the_model_tells() -> None:
    told = metadata(texts())
    told["properties"]["predict_reads"] = "The body as it is."
    paths = document(general(), SERVER, {"fake": Described(told, False)}, {}, False)["paths"]
    assert paths["/v2/models/fake/predict"]["post"]["requestBody"]["description"] == "The body as it is."
    assert "description" not in described(texts())["paths"]["/v2/models/fake/predict"]["post"]["requestBody"]


def test_a_model_s_own_example_is_the_example() -> None:
    example = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]}]}
    paths = described(texts(), example=example)["paths"]
    body = paths["/v2/models/fake/infer"]["post"]["requestBody"]["content"]["application/json"]
    assert body["example"] == example
    body = paths["/v2/models/fake/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert body["example"] == {"instances": ["a", "b"]}


@pytest.mark.parametrize("service", [texts(), three_kinds(), identity("FP16", 2), identity("FP32", -1)])
def test_no_example_is_made_up_where_it_might_not_be_answered(service: FakeService) -> None:
    assert example_request(metadata(service)) is None
    described(service)


def test_tokens_are_asked_for_only_where_there_is_auth() -> None:
    plain, secured = described(identity("FP32", 2)), described(identity("FP32", 2), secured=True)
    for path, without in plain["paths"].items():
        for method in without.keys() & {"get", "post"}:
            asked = secured["paths"][path][method]
            assert without[method]["security"] == []
            assert not {"401", "403"} & without[method]["responses"].keys()
            is_open = path.endswith(("/ready", "/live")) or path == "/"
            assert asked["security"] == ([] if is_open else [{"bearer": []}])
            assert ({"401", "403"} <= asked["responses"].keys()) is not is_open


def test_who_is_left_out_and_why_is_told() -> None:
    found = described(left_out={"slow": "it is not ready"})
    assert found["info"]["description"].endswith("Left out: `slow`. It is not ready.")
    assert found["info"]["title"] == "mine"
    assert found["tags"] == [{"name": "server", "description": "The server as a whole."}]


def test_the_errors_are_those_of_the_code() -> None:
    responses = general()["components"]["responses"]
    made = {
        "BadRequest": errors.BadRequest("x"),
        "Unauthorized": errors.Unauthorized(),
        "Forbidden": errors.Forbidden(),
        "NotFound": errors.NotFound("x"),
        "TimedOut": errors.TimedOut(),
        "TooLarge": errors.TooLarge(64),
        "UnsupportedEncoding": errors.UnsupportedEncoding("br"),
        "InferenceFailed": errors.InferenceFailed(logged_as="7f3a"),
        "Unavailable": errors.NotReady(),
    }
    infer = general()["paths"]["/v2/models/{model}/infer"]["post"]["responses"]
    for name, error in made.items():
        assert infer[str(error.status)] == {"$ref": f"#/components/responses/{name}"}
        told = responses[name]["content"]["application/json"]["example"]["error"]
        assert "x" in (told, str(error)) or told == str(error)
        for header, _ in error.headers:
            if header in (b"www-authenticate", b"retry-after"):
                assert header.decode() in {each.lower() for each in responses[name]["headers"]}
    statuses = {each.status for each in vars(errors).values() if isinstance(each, type) and hasattr(each, "status")}
    assert {str(each) for each in statuses} - {"405"} == infer.keys() - {"200", "default"}
