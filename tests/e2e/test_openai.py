"""The unmodified openai client, at a server with two embedding models and a classifier: one of them with an ingress."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
import requests
import yaml

from tests.clients_page import output, snippets
from tests.e2e.conftest import RAY_ENV_VARS
from tests.models import pretrained_directories as directories
from tests.serving import PROJECT, SHORT, Serving, serve_run

pytestmark = pytest.mark.ray

TEXTS = ["A man is eating food.", "Somebody eats a meal.", "The stock market fell sharply today."]


@pytest.fixture(scope="module")
def serving(cache: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:  # noqa: ARG001
    folder = tmp_path_factory.mktemp("pretrained")
    tiny, mood = folder / "tiny", folder / "mood"
    directories.sentence_model(tiny, {"pooling_mode_mean_tokens": True}, normalise=True)
    directories.text_model(mood)

    def edit(raw: dict[str, Any]) -> None:
        shipped = yaml.safe_load((PROJECT / "configs" / "minilm.yaml").read_text())["applications"]
        [minilm] = [app for app in shipped if app["name"] == "minilm"]
        minilm["args"] = {**minilm["args"], "device": "cpu", "lengths": [16, 32], "max_batch_size": 4, "num_cpus": 0.3}
        root = [app for app in raw["applications"] if app["name"] == "root"]
        own = pretrained("tiny", tiny, "sentence-embedding", [16, 24], ingress_replicas=1)
        raw["applications"] = [*root, minilm, own, pretrained("mood", mood, "text-classification", [16, 64])]

    with serve_run(PROJECT / "serve_config.yaml", SHORT, edit) as found:
        yield found


def pretrained(name: str, folder: Path, task: str, lengths: list[int], **args: Any) -> dict[str, Any]:
    source = {"pretrained": str(folder), "task": task}
    given = {"name": name, "device": "cpu", "num_cpus": 0.3, "source": source, "lengths": lengths, "max_batch_size": 4}
    deployments = [{"name": "Model"}, *([{"name": "Ingress"}] if "ingress_replicas" in args else [])]
    return {
        "name": name,
        "route_prefix": f"/v2/models/{name}",
        "import_path": "deployments.app:model",
        "runtime_env": {"env_vars": RAY_ENV_VARS},
        "args": {**given, **args},
        "deployments": deployments,
    }


def client(base_url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=base_url, api_key="none", max_retries=0, timeout=60)


def test_texts_become_vectors_through_the_root_and_at_the_model_alike(serving: Serving) -> None:
    at_root, at_model = client(f"{serving.url}/v1"), client(f"{serving.model('minilm')}/v1")
    answers = [each.embeddings.create(model="minilm", input=TEXTS) for each in (at_root, at_model)]
    vectors = [np.array([each.embedding for each in answer.data]) for answer in answers]
    assert vectors[0].tolist() == vectors[1].tolist()
    np.testing.assert_allclose(np.linalg.norm(vectors[0], axis=1), 1, atol=1e-5)
    assert vectors[0][0] @ vectors[0][1] > 0.6
    assert vectors[0][0] @ vectors[0][2] < 0.3
    assert [each.index for each in answers[0].data] == [0, 1, 2]
    assert answers[0].usage.prompt_tokens == answers[1].usage.prompt_tokens > 3 * 5
    plain = at_root.embeddings.create(model="minilm", input=TEXTS, encoding_format="float")
    np.testing.assert_allclose([each.embedding for each in plain.data], vectors[0], atol=1e-6)
    short = at_root.embeddings.create(model="minilm", input=TEXTS[0], dimensions=8)
    expected = vectors[0][0][:8] / np.linalg.norm(vectors[0][0][:8])
    np.testing.assert_allclose(short.data[0].embedding, expected, atol=1e-6)


def test_the_block_of_the_page_on_clients_prints_what_it_shows(serving: Serving) -> None:
    [snippet] = [each for each in snippets() if each.client == "openai"]
    assert output(snippet, serving) == snippet.printed


def test_a_pretrained_encoder_behind_an_ingress_replica_answers_as_sentence_transformers(serving: Serving) -> None:
    from sentence_transformers import SentenceTransformer

    properties = requests.get(serving.model("tiny"), timeout=30).json()["properties"]
    assert properties["ingress_replicas"] == 1
    answer = client(f"{serving.url}/v1").embeddings.create(model="tiny", input=directories.TEXTS)
    folder = yaml.safe_load(serving.config.read_text())["applications"][2]["args"]["source"]["pretrained"]
    expected = SentenceTransformer(folder, device="cpu").encode(directories.TEXTS, batch_size=1)
    np.testing.assert_allclose([each.embedding for each in answer.data], expected, atol=1e-4)


def test_the_models_are_listed_and_one_that_gives_no_vectors_says_so(serving: Serving) -> None:
    at_root = client(f"{serving.url}/v1")
    assert {each.id for each in at_root.models.list()} == {"minilm", "tiny", "mood"}
    with pytest.raises(openai.BadRequestError, match="'mood' gives no embeddings") as refused:
        at_root.embeddings.create(model="mood", input=TEXTS)
    assert (refused.value.param, refused.value.type) == ("model", "invalid_request_error")
    with pytest.raises(openai.NotFoundError, match="there is no model 'ada' here; the models are"):
        at_root.embeddings.create(model="ada", input=TEXTS)
    with pytest.raises(openai.BadRequestError, match="send the text itself"):
        at_root.embeddings.create(model="minilm", input=[[1, 2, 3]])


def test_a_classifier_from_a_directory_takes_text_on_predict(serving: Serving) -> None:
    answer = requests.post(
        f"{serving.model('mood')}/predict", data=b"a lazy dog", headers={"content-type": "text/plain"}, timeout=60
    )
    found = answer.json()
    assert answer.status_code == 200, answer.text
    assert found["label"] in {"L0", "L1", "L2"}
    assert found["score"] == pytest.approx(max(found["scores"]))
    metadata = requests.get(serving.model("mood"), timeout=30).json()
    assert [each["name"] for each in metadata["outputs"]] == ["label", "score", "scores"]
