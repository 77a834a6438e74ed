"""/v1/embeddings as OpenAI has it: on a model's own path, and on the root's, which passes it on."""

import asyncio
import base64
from typing import Any

import numpy as np
import orjson
import pytest

from configs.schema import AuthConfig
from deployments.auth.authenticator import open_authenticator
from deployments.core.errors import NotFound, NotReady, QueueFull
from deployments.core.request import InferRequest, InferResult, IsDisconnected, OnInferResult
from deployments.http.bodies import Scope
from deployments.http_client.reply import Reply, ReplyReader
from deployments.openai.embeddings import Asked, Names, names_in, write
from deployments.protocol.headers import KIND
from deployments.root import Root
from models.signature import Array, Tensor
from tests.deployments.fake_service import Answer, FakeService, ask, identity, raising, signature

TEXTS = ["a", "two words", ""]
GOOD = {"model": "fake", "input": TEXTS}


class Encoder(FakeService):
    """Gives a text's length, its length squared, and 1; a token is a byte."""

    def __init__(self) -> None:
        declared = signature([Tensor("text", "BYTES", (-1,))], [Tensor("embedding", "FP32", (-1, 3))])
        super().__init__(declared, self.encode)

    def encode(self, rows: dict[str, Array]) -> dict[str, Array]:
        return {"embedding": np.array([(len(text), len(text) ** 2, 1) for text in rows["text"]], np.float32)}

    def begin(
        self, request: InferRequest, on_result: OnInferResult, is_disconnected: IsDisconnected | None = None
    ) -> None:
        if request.on_prepared is not None:
            longest = max(map(len, request.inputs["text"]))
            mask = [[1] * len(text) + [0] * (longest - len(text)) for text in request.inputs["text"]]
            request.on_prepared({"attention_mask": np.array(mask)})
        super().begin(request, on_result, is_disconnected)


def embed(service: FakeService, body: Any, **options: Any) -> Answer:
    return ask(service, "/v1/embeddings", body, **options)


def test_texts_become_vectors_in_their_order_and_their_tokens_are_counted() -> None:
    answer = embed(Encoder(), GOOD)
    assert answer.status == 200
    assert answer.json == {
        "object": "list",
        "model": "fake",
        "data": [
            {"object": "embedding", "index": row, "embedding": [len(text), len(text) ** 2, 1]}
            for row, text in enumerate(TEXTS)
        ],
        "usage": {"prompt_tokens": 10, "total_tokens": 10},
    }


def test_one_text_is_a_list_of_one() -> None:
    assert [each["embedding"] for each in embed(Encoder(), {"model": "fake", "input": "héé"}).json["data"]] == [
        [5, 25, 1]
    ]


def test_base64_holds_the_same_floats_little_endian() -> None:
    answer = embed(Encoder(), {**GOOD, "encoding_format": "base64"})
    vectors = [np.frombuffer(base64.b64decode(each["embedding"]), "<f4") for each in answer.json["data"]]
    assert np.stack(vectors).tolist() == [[len(text), len(text) ** 2, 1] for text in TEXTS]


def test_fewer_dimensions_are_the_first_ones_at_length_one() -> None:
    answer = embed(Encoder(), {**GOOD, "dimensions": 2})
    found = [each["embedding"] for each in answer.json["data"]]
    assert found[0] == pytest.approx([0.5**0.5, 0.5**0.5])
    assert found[2] == [0, 0]


@pytest.mark.parametrize("size", [3e38, 1e-30])
def test_vectors_whose_squares_no_float_holds_are_at_length_one_too(size: float) -> None:
    vectors = np.full((1, 3), size, np.float32)
    asked = Asked(Names("text", "embedding", 3), ("a",), False, 2)
    [found] = orjson.loads(write(asked, "fake", InferResult("1", {"embedding": vectors}), 1))["data"]
    assert found["embedding"] == pytest.approx([0.5**0.5, 0.5**0.5])


@pytest.mark.parametrize(
    "change, parameter, said",
    [
        (
            {"input": [[1, 2]]},
            "input",
            "input holds token ids, which belong to another tokenizer: send the text itself",
        ),
        ({"input": [1, 2]}, "input", "input holds token ids"),
        ({"input": []}, "input", "input must be a text or a list of texts; got []"),
        ({"input": None}, "input", "got None"),
        ({"input": ["a", None]}, "input", "it holds None"),
        ({"input": {"a": 1}}, "input", "input must be a text or a list of texts"),
        ({"encoding_format": "int8"}, "encoding_format", "encoding_format must be float or base64; got 'int8'"),
        ({"dimensions": 4}, "dimensions", "dimensions must be a whole number from 1 to 3; got 4"),
        ({"dimensions": True}, "dimensions", "dimensions must be a whole number"),
        ({"model": 7}, "model", "model must be the name of a model; got 7"),
    ],
)
def test_what_is_wrong_with_a_request_is_told_with_its_parameter(
    change: dict[str, Any], parameter: str, said: str
) -> None:
    answer = embed(Encoder(), {**GOOD, **change})
    error = answer.json["error"]
    assert (answer.status, error["type"], error["param"]) == (400, "invalid_request_error", parameter)
    assert said in error["message"]
    assert error.keys() == {"message", "type", "param", "code"}


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff\xfe"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    answer = embed(Encoder(), body)
    assert answer.status == 400
    assert answer.json["error"]["type"] == "invalid_request_error"


def test_another_models_name_is_not_found() -> None:
    answer = embed(Encoder(), {**GOOD, "model": "other"})
    assert (answer.status, answer.json["error"]["code"]) == (404, "model_not_found")


def test_a_model_without_vectors_says_so() -> None:
    answer = embed(identity("FP32"), GOOD)
    assert answer.status == 400
    assert answer.json["error"]["message"] == "model 'fake' gives no embeddings: ask its /infer or /predict"


def test_errors_of_every_stage_have_openais_form_and_keep_their_headers() -> None:
    full = raising(QueueFull(3))
    full.signature = Encoder().signature
    answer = embed(full, GOOD)
    assert (answer.status, answer.headers["retry-after"]) == (503, "3")
    assert answer.json["error"]["type"] == "server_error"
    wrong = embed(Encoder(), b"", method="GET")
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST")
    assert "this path takes POST" in wrong.json["error"]["message"]


def test_a_token_is_asked_for_as_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENS", "secret-secret-secret fake")
    service = Encoder()
    service.authenticator = open_authenticator(AuthConfig(tokens_env="TOKENS", tokens_file=None), "fake")
    answer = embed(service, GOOD)
    assert (answer.status, answer.json["error"]["code"]) == (401, "invalid_api_key")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_model_lists_itself() -> None:
    answer = ask(Encoder(), "/v1/models", method="GET")
    assert answer.json == {
        "object": "list",
        "data": [{"id": "fake", "object": "model", "created": 0, "owned_by": "pitstop"}],
    }


def test_only_one_text_in_and_one_vector_out_is_an_embedding() -> None:
    text, vector = Tensor("text", "BYTES", (-1,)), Tensor("embedding", "FP32", (-1, 3))
    assert names_in(signature([text], [vector])) == ("text", "embedding", 3)
    for inputs, outputs in (
        ([text, text], [vector]),
        ([text], [vector, vector]),
        ([Tensor("text", "BYTES", (-1, 1))], [vector]),
        ([text], [Tensor("score", "FP32", (-1,))]),
        ([text], [Tensor("embedding", "FP64", (-1, 3))]),
        ([text], [Tensor("embedding", "FP32", (-1, -1))]),
    ):
        assert names_in(signature(inputs, outputs)) is None


class Models:
    """What the root passes requests on to."""

    def __init__(self, outcome: bytes | Exception) -> None:
        self.outcome = outcome
        self.asked: list[Any] = []

    async def post(self, *given: Any) -> Reply:
        self.asked.append(given)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        reply = ReplyReader().feed(self.outcome)
        assert reply is not None
        return reply


class Bare(Root):
    """Serve awaits Root's own __init__ and __del__."""

    def __init__(self, models: Models) -> None:
        self._authenticator, self._models_client = None, models  # type: ignore[assignment]

    def __del__(self) -> None:  # type: ignore[override]
        pass


def at_root(models: Models, body: Any, path: str = "/v1/embeddings", **headers: str) -> tuple[Any, Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": orjson.dumps(body)}

    given = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope: Scope = {"type": "http", "method": "POST", "path": path, "headers": given}
    asyncio.run(Bare(models).build()(scope, receive, send))
    return sent[0], orjson.loads(sent[1]["body"])


def test_the_root_passes_a_request_on_to_the_model_that_it_names() -> None:
    body = b'{"object": "list"}'
    models = Models(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    start, answer = at_root(models, GOOD, authorization="Bearer me", cookie="private")
    assert (start["status"], answer) == (200, {"object": "list"})
    [(name, path, headers, sent)] = models.asked
    assert (name, path, orjson.loads(sent)) == ("fake", "/v1/embeddings", GOOD)
    assert headers == [("content-type", "application/json"), ("authorization", "Bearer me")]


def test_the_root_passes_a_models_refusal_back_as_it_is() -> None:
    body = b'{"error": {"message": "the queue is full"}}'
    head = b"HTTP/1.1 503 Busy\r\nretry-after: 3\r\n%b: queue_full\r\nserver: x\r\ncontent-length: %d\r\n\r\n"
    start, answer = at_root(Models(head % (KIND, len(body)) + body), GOOD)
    assert (start["status"], answer) == (503, orjson.loads(body))
    assert {name for name, _ in start["headers"]} == {b"content-type", b"content-length", b"retry-after", KIND}


@pytest.mark.parametrize(
    "error, code", [(NotFound("there is no model 'fake' here"), "model_not_found"), (NotReady(), "not_ready")]
)
def test_a_model_that_is_not_here_is_told_in_openais_form(error: Exception, code: str) -> None:
    start, answer = at_root(Models(error), GOOD)
    assert start["status"] == error.status  # type: ignore[attr-defined]
    assert (answer["error"]["code"], answer["error"]["message"]) == (code, str(error))


def test_other_paths_of_openais_are_told_which_there_are() -> None:
    start, answer = at_root(Models(b""), GOOD, "/v1/chat/completions")
    assert start["status"] == 404
    assert "of OpenAI's protocol there are embeddings and models" in answer["error"]["message"]
