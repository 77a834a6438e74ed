"""A directory of transformers, started as any model and asked as a replica asks, gives transformers' own answers."""

import asyncio
import io
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tokenizers import processors

from configs.code_files import PROJECT
from configs.loader import parse_model
from configs.schema import ModelConfig, Tunables
from deployments.batching.batching import Batcher
from deployments.batching.device_thread import DeviceThread
from deployments.batching.local import open_device
from deployments.canary.router import CanaryRouter
from deployments.core.errors import BadRequest
from deployments.core.request import InferRequest, infer
from deployments.metrics.model_metrics import ModelMetrics
from deployments.postprocessing import postprocessor
from deployments.preprocessing import preprocessor
from deployments.service import ModelService
from models.errors import ModelError
from models.runtime.dims import dims_in
from models.signature import Array, signature_of
from models.sources.pretrained import directory as places
from models.sources.pretrained.audio import as_wav
from models.sources.pretrained.tokenizing import Tokenizing
from models.startup.complete import completed
from models.startup.open_model import open_model
from pitstop.check.main import CLEAN, PROBLEMS
from pitstop.check.main import check_files as check
from tests.models import pretrained_directories as directories

TEXTS, transformers = directories.TEXTS, directories.transformers
ROWS = [1, 3, 2]


def config(folder: Path, task: str, **given: Any) -> ModelConfig:
    """A completed config of a directory, on the CPU, in small batches."""
    args = {"name": "mood", "source": {"pretrained": str(folder), "task": task}, "device": "cpu", "max_batch_size": 4}
    return completed(parse_model({**args, **given}))


def answers(own: ModelConfig, requests: Sequence[InferRequest]) -> list[dict[str, Array]]:
    """Start a model, send it requests at once, as a replica's service does, and return the answers."""

    async def ask() -> list[dict[str, Array]]:
        thread = DeviceThread()
        thread.start()
        served = await thread.call(lambda: open_model(own, "cpu"))
        device = open_device(thread, served.runner, served.forward_ms, None, on_loop=False)
        metrics = ModelMetrics({})
        signature = signature_of(own)
        service = ModelService(
            own,
            Batcher(Tunables(), own.max_batch_size, device, metrics.count_forward),
            metrics,
            CanaryRouter(signature),
            dict,
            preprocess=preprocessor(served.samples.preprocess, served.runner.model_inputs, dims_in(own.open_dims)),
            postprocess=postprocessor(served.postprocess, signature.outputs),
        )
        try:
            results = await asyncio.gather(*(infer(service, each) for each in requests))
        finally:
            thread.stop()
        return [each.outputs for each in results]

    return asyncio.run(ask())


def request(name: str, bodies: Sequence[bytes], **parameters: Any) -> InferRequest:
    column = np.empty(len(bodies), object)
    column[:] = bodies
    return InferRequest({name: column}, len(bodies), parameters=parameters)


def split(name: str, bodies: Sequence[bytes]) -> list[InferRequest]:
    """Return requests of one, three and two rows."""
    starts = np.cumsum([0, *ROWS])
    return [request(name, bodies[start : start + rows]) for start, rows in zip(starts, ROWS, strict=False)]


def rows_of(found: Sequence[dict[str, Array]], output: str) -> list[Any]:
    return [row for each in found for row in each[output]]


def texts(count: int = sum(ROWS)) -> list[str]:
    return [" ".join([TEXTS[number % len(TEXTS)]] * (1 + number // 2)) for number in range(count)]


def eager(folder: Path, kind: str, text: str) -> Any:
    """Ask a directory's network as transformers' documentation does: one text, nothing padded."""
    words = transformers.AutoTokenizer.from_pretrained(folder)
    network = getattr(transformers, kind).from_pretrained(folder).eval()
    with torch.no_grad():
        return network(**words(text, return_tensors="pt"))


def test_a_text_classifier_answers_as_transformers_pipeline(tmp_path: Path) -> None:
    folder, asked = directories.text_model(tmp_path), texts()
    found = answers(
        config(folder, "text-classification", lengths=[4, 16, 64]), split("text", [each.encode() for each in asked])
    )
    pipeline = transformers.pipeline("text-classification", str(folder), device="cpu")
    for text, label, score, scores in zip(
        asked, *(rows_of(found, name) for name in ("label", "score", "scores")), strict=True
    ):
        every = {each["label"]: each["score"] for each in pipeline(text, top_k=None)}
        assert label.decode() == max(every, key=lambda each: every[each])
        assert score == pytest.approx(max(every.values()), rel=1e-4)
        assert scores == pytest.approx([every[f"L{number}"] for number in range(3)], rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(
    "settings", [{"problem_type": "multi_label_classification"}, {"problem_type": "regression"}, {"labels": 1}]
)
def test_scores_are_made_by_the_kind_of_problem(tmp_path: Path, settings: dict[str, Any]) -> None:
    folder, asked = directories.text_model(tmp_path, **settings), texts(2)
    found = answers(config(folder, "text-classification", lengths=[64]), [request("text", [t.encode() for t in asked])])
    pipeline = transformers.pipeline("text-classification", str(folder), device="cpu")
    expected = [[each["score"] for each in pipeline(text, top_k=None)] for text in asked]
    for scores, own in zip(found[0]["scores"], expected, strict=True):
        assert sorted(scores) == pytest.approx(sorted(own), rel=1e-3, abs=1e-5)


def test_a_token_classifier_gives_the_spans_of_transformers_pipeline(tmp_path: Path) -> None:
    names = {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC", 4: "I-LOC"}
    folder = directories.text_model(tmp_path, "BertForTokenClassification", id2label=names)
    asked = texts()
    own = config(folder, "token-classification", lengths=[4, 64])
    found = answers(own, [*split("text", [each.encode() for each in asked])])
    pipeline = transformers.pipeline("token-classification", str(folder), device="cpu", aggregation_strategy="simple")
    spans = 0
    for text, entities in zip(asked, rows_of(found, "entities"), strict=True):
        listed, expected = json.loads(entities), pipeline(text)
        assert [(each["label"], each["start"], each["end"]) for each in listed] == [
            (each["entity_group"], each["start"], each["end"]) for each in expected
        ]
        for one, other in zip(listed, expected, strict=True):
            assert one["score"] == pytest.approx(float(other["score"]), rel=1e-4)
            if "zebra" not in text:  # The pipeline puts the text itself in place of an unknown token.
                assert one["word"] == other["word"]
        spans += len(listed)
    assert spans > len(asked)


def test_a_text_without_a_token_is_refused_beside_others_as_alone(tmp_path: Path) -> None:
    words = directories.tokenizer()
    words.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
    words.save_pretrained(tmp_path)
    found = SimpleNamespace(model_type="gpt2", type_vocab_size=0)
    tokens = Tokenizing(places.Directory(tmp_path, "here"), found, 8)
    with pytest.raises(ValueError, match="there is no token in text 1: send at least one word"):
        tokens(["seven", ""], False)


def test_a_threshold_leaves_out_entities_and_a_wrong_one_is_the_clients(tmp_path: Path) -> None:
    folder = directories.text_model(tmp_path, "BertForTokenClassification", id2label={0: "A", 1: "B"})
    own = config(folder, "token-classification", lengths=[32])
    text = b"Ada Lovelace met Charles Babbage in London"
    every, sure = answers(own, [request("text", [text]), request("text", [text], threshold=0.99)])
    kept = [each for each in json.loads(every["entities"][0]) if each["score"] >= 0.99]
    assert json.loads(sure["entities"][0]) == kept
    with pytest.raises(BadRequest, match="threshold must be a number from 0 to 1; got 'much'"):
        answers(own, [request("text", [text], threshold="much")])


def test_a_text_beyond_the_longest_is_refused_or_cut_if_the_request_says_so(tmp_path: Path) -> None:
    folder, long = directories.text_model(tmp_path), " ".join(["lazy dog"] * 40).encode()
    own = config(folder, "text-classification", lengths=[16])
    with pytest.raises(BadRequest, match="at most 16: shorten the text, or send the parameter truncate: true"):
        answers(own, [request("text", [long])])
    [cut] = answers(own, [request("text", [long], truncate=True)])
    words = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.BertForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        given = words(long.decode(), return_tensors="pt", truncation=True, max_length=16)
        expected = network(**given).logits.softmax(1)
    assert cut["scores"][0] == pytest.approx(expected[0].numpy(), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(
    "pooling, normalise",
    [(None, False), ({"pooling_mode_mean_tokens": True}, True), ({"pooling_mode_cls_token": True}, False)],
)
def test_an_embedding_is_pooled_as_sentence_transformers_does(
    tmp_path: Path, pooling: dict[str, Any] | None, normalise: bool
) -> None:
    folder, asked = directories.sentence_model(tmp_path, pooling, normalise), texts()
    found = answers(config(folder, "sentence-embedding"), split("text", [each.encode() for each in asked]))
    if pooling is not None:
        from sentence_transformers import SentenceTransformer

        expected = SentenceTransformer(str(folder), device="cpu").encode(asked, batch_size=1)
    else:
        expected = np.stack([eager(folder, "BertModel", each).last_hidden_state[0].mean(0).numpy() for each in asked])
    assert np.stack(rows_of(found, "embedding")) == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_a_pooling_that_is_not_known_is_refused(tmp_path: Path) -> None:
    folder = directories.sentence_model(tmp_path, {"pooling_mode_max_tokens": True})
    with pytest.raises(ModelError, match="its pooling is max, and mean, cls, lasttoken, each alone, are known"):
        config(folder, "sentence-embedding")


def png(height: int, width: int, seed: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def pictures() -> list[bytes]:
    sizes = [(40, 60), (60, 40), (48, 48), (96, 30), (40, 60), (33, 77)]
    return [png(height, width, seed) for seed, (height, width) in enumerate(sizes)]


def test_an_image_classifier_answers_as_transformers_for_pictures_of_any_size(tmp_path: Path) -> None:
    folder, asked = directories.image_model(tmp_path), pictures()
    found = answers(config(folder, "image-classification"), split("image", asked))
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    network = transformers.ViTForImageClassification.from_pretrained(folder).eval()
    for body, label, scores in zip(asked, rows_of(found, "label"), rows_of(found, "scores"), strict=True):
        with torch.no_grad():
            given = processor(images=Image.open(io.BytesIO(body)), return_tensors="pt")
            expected = network(**given).logits.softmax(1)[0]
        assert label.decode() == {0: "cat", 1: "dog", 2: "fox"}[int(expected.argmax())]
        assert scores == pytest.approx(expected.numpy(), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("size", [{"height": 48, "width": 64}, {"shortest_edge": 48, "longest_edge": 96}])
def test_a_detector_finds_what_transformers_finds_in_pixels_of_a_picture(tmp_path: Path, size: dict[str, int]) -> None:
    folder, asked = directories.detector(tmp_path, size), pictures()
    own = config(folder, "object-detection")
    found = answers(own, [request("image", [body], threshold=0.2) for body in asked])
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    network = transformers.YolosForObjectDetection.from_pretrained(folder).eval()
    boxes = 0
    for body, detections in zip(asked, rows_of(found, "detections"), strict=True):
        picture = Image.open(io.BytesIO(body))
        with torch.no_grad():
            given = network(**processor(images=picture, return_tensors="pt"))
        target = [(picture.height, picture.width)]
        [expected] = processor.post_process_object_detection(given, threshold=0.2, target_sizes=target)
        order = expected["scores"].argsort(descending=True)
        listed = json.loads(detections)
        names = [network.config.id2label[int(number)] for number in expected["labels"][order]]
        assert [each["label"] for each in listed] == names
        assert [each["score"] for each in listed] == pytest.approx(expected["scores"][order].tolist(), rel=1e-3)
        for each, number in zip(listed, order, strict=True):
            assert each["box"] == pytest.approx(expected["boxes"][number].tolist(), rel=1e-3, abs=1e-2)
        boxes += len(listed)
    assert boxes > len(asked)


def test_top_k_keeps_the_best_boxes(tmp_path: Path) -> None:
    folder = directories.detector(tmp_path, {"height": 48, "width": 64})
    own = config(folder, "object-detection")
    every, best = answers(own, [request("image", pictures()[:1], threshold=0, **more) for more in ({}, {"top_k": 2})])
    assert json.loads(best["detections"][0]) == json.loads(every["detections"][0])[:2]


def recordings() -> list[Array]:
    counts = [400, 3000, 1999, 5999, 800, 2000]
    return [np.random.default_rng(count).uniform(-0.5, 0.5, count).astype(np.float32) for count in counts]


def spellings(logits: torch.Tensor, letters: Any) -> set[str]:
    """Return the text of the best letters; where fp32 cannot tell the two best of a frame apart, with either."""
    best = logits.topk(2)
    close = (best.values[:, 0] - best.values[:, 1] < 1e-4 * logits.abs().max()).nonzero().ravel().tolist()
    assert len(close) < 8
    found = set()
    for second in itertools.product((0, 1), repeat=len(close)):
        chosen = best.indices[:, 0].clone()
        for frame, which in zip(close, second, strict=True):
            chosen[frame] = best.indices[frame, which]
        found.add(letters.decode(chosen))
    return found


@pytest.mark.parametrize("norm", ["layer", "group"])
def test_speech_is_spelt_as_transformers_does(tmp_path: Path, norm: str) -> None:
    folder, asked = directories.speech_model(tmp_path, norm), recordings()
    own = config(folder, "automatic-speech-recognition", lengths=[2000, 6000])
    bodies = [as_wav(each, 8000) for each in asked]
    found = answers(own, split("audio", bodies))
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    letters = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.Wav2Vec2ForCTC.from_pretrained(folder).eval()
    for samples, text in zip(asked, rows_of(found, "text"), strict=True):
        heard = (samples * 32767).astype("<i2").astype(np.float32) / 32768
        with torch.no_grad():
            given = extractor(heard, sampling_rate=8000, return_tensors="pt")
            logits = network(**given).logits[0]
        assert text.decode() in spellings(logits, letters)
    assert len({bytes(text) for text in rows_of(found, "text")}) > 2


def test_audio_of_another_rate_is_refused_with_both_rates(tmp_path: Path) -> None:
    folder = directories.speech_model(tmp_path, "layer")
    own = config(folder, "automatic-speech-recognition", lengths=[2000])
    with pytest.raises(BadRequest, match="audio 0 has 16000 samples a second, this model takes 8000: resample"):
        answers(own, [request("audio", [as_wav(np.zeros(500), 16000)])])
    with pytest.raises(BadRequest, match="audio 0 has 9 samples, this model takes at least 20"):
        answers(own, [request("audio", [as_wav(np.zeros(9), 8000)])])
    with pytest.raises(BadRequest, match="audio 0 is no WAV"):
        answers(own, [request("audio", [b"OggS...."])])


def test_a_config_says_all_that_is_served_once_it_is_completed(tmp_path: Path) -> None:
    folder = directories.text_model(tmp_path)
    own = completed(parse_model({"name": "m", "source": {"pretrained": str(folder), "task": "text-classification"}}))
    assert [each.model_dump(include={"name", "datatype", "shape"}) for each in (*own.inputs, *own.outputs)] == [
        {"name": "text", "datatype": "BYTES", "shape": (-1,)},
        {"name": "label", "datatype": "BYTES", "shape": (-1,)},
        {"name": "score", "datatype": "FP32", "shape": (-1,)},
        {"name": "scores", "datatype": "FP32", "shape": (-1, 3)},
    ]
    assert own.lengths == (8, 16, 32, 64)
    assert completed(own) == own


def test_a_config_that_is_not_completed_opens_as_a_replica_opens_it(tmp_path: Path) -> None:
    source = {"pretrained": str(directories.text_model(tmp_path / "model")), "task": "text-classification"}
    served = open_model(parse_model({"name": "m", "source": source, "max_batch_size": 2}), "cpu")
    assert served.config.lengths == (8, 16, 32, 64)


def remove(name: str) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        for file in folder.glob(name):
            file.unlink()

    return act


def edit(name: str, **settings: Any) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        found = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(found | settings))

    return act


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    "spoil, task, said",
    [
        (pickled, "text-classification", r"has no safetensors \(its \*.bin are pickles, which could run code\)"),
        (remove("model.safetensors"), "text-classification", "has no safetensors\nhelp: save it again"),
        (remove("token*"), "text-classification", "has no tokenizer\nhelp: save it into the same directory"),
        (remove("config.json"), "text-classification", "has no config.json"),
        (edit("config.json", model_type="mine"), "text-classification", "has model_type 'mine', which transformers"),
        (
            edit("config.json", model_type="mine", auto_map={"AutoConfig": "code.Config"}),
            "text-classification",
            r"needs code that comes with it \(auto_map in its config.json\), and such code is never run",
        ),
        (remove("none"), "token-classification", "its weights lack .*classifier|would be drawn at random"),
        (remove("none"), "image-classification", "is a bert, and transformers has no image-classification for one"),
        (remove("none"), "automatic-speech-recognition", "is a bert, and transformers has no automatic-speech"),
    ],
)
def test_a_directory_that_cannot_be_served_is_refused_in_a_sentence(
    tmp_path: Path, spoil: Callable[[Path], None], task: str, said: str
) -> None:
    kind = "BertModel" if task == "token-classification" else "BertForSequenceClassification"
    folder = directories.text_model(tmp_path, kind)
    spoil(folder)
    with pytest.raises(ModelError, match=said) as raised:
        open_model(config(folder, task, lengths=[16]), "cpu")
    assert "help: " in str(raised.value)


def test_weights_that_a_task_lacks_are_never_drawn(tmp_path: Path) -> None:
    folder = directories.text_model(tmp_path, "BertModel")
    with pytest.raises(ModelError, match=r"its weights lack classifier.bias, classifier.weight, which text-class"):
        open_model(config(folder, "text-classification", lengths=[16]), "cpu")


def test_an_id_without_network_names_the_download(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked = []

    def absent(name: str, **given: Any) -> str:
        asked.append((name, given.get("local_files_only", False)))
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", absent)
    with pytest.raises(ModelError, match="no such directory and no such id in its Hugging Face cache") as raised:
        config(Path("acme/mood"), "text-classification")
    assert "hf download acme/mood --local-dir DIR" in str(raised.value)
    assert asked == [("acme/mood", True), ("acme/mood", False)]


def test_an_id_in_the_cache_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    folder = directories.text_model(tmp_path)

    def cached(name: str, **given: Any) -> str:
        assert (name, given["revision"], given["local_files_only"]) == ("acme/mood", "v2", True)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", cached)
    source = {"pretrained": "acme/mood", "task": "text-classification", "revision": "v2"}
    assert completed(parse_model({"name": "mood", "source": source})).lengths == (8, 16, 32, 64)


def test_a_path_that_is_not_there_is_no_id() -> None:
    with pytest.raises(ModelError, match=r"\./models/mood: no such directory"):
        completed(parse_model({"name": "m", "source": {"pretrained": "./models/mood", "task": "text-classification"}}))


def test_a_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = directories.text_model(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(ModelError, match="install the extra `pretrained`"):
        config(folder, "text-classification")


def test_a_directory_outside_of_the_allowed_places_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = directories.text_model(tmp_path / "mood")
    monkeypatch.setenv("PITSTOP_SOURCES", str(tmp_path / "other"))
    with pytest.raises(ModelError, match="outside of the places that PITSTOP_SOURCES allows"):
        config(folder, "text-classification")
    monkeypatch.setenv("PITSTOP_SOURCES", str(folder))
    assert places.find(config(folder, "text-classification").source).path == folder


def test_lengths_beyond_the_networks_positions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"lengths: ends with 128, and .* takes at most 64 tokens"):
        config(directories.text_model(tmp_path), "text-classification", lengths=[16, 128])


def test_other_networks_than_bert_are_served_too(tmp_path: Path) -> None:
    words, asked = directories.tokenizer(), texts(3)
    small = {"vocab_size": len(words), "max_position_embeddings": 64, "initializer_range": 0.5}
    kinds = {
        "DistilBert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 37},
        "Roberta": {**directories.SMALL, "pad_token_id": 0},
    }
    for kind, settings in kinds.items():
        torch.manual_seed(5)
        settings_of = getattr(transformers, f"{kind}Config")
        network = getattr(transformers, f"{kind}ForSequenceClassification")(settings_of(**small, **settings)).eval()
        network.save_pretrained(tmp_path / kind)
        words.save_pretrained(tmp_path / kind)
        own = config(tmp_path / kind, "text-classification", lengths=[32, 63])
        [found] = answers(own, [request("text", [each.encode() for each in asked])])
        for text, scores in zip(asked, found["scores"], strict=True):
            ids = torch.tensor([words(text)["input_ids"]])
            with torch.no_grad():
                expected = network(input_ids=ids).logits.softmax(1)[0]
            assert scores == pytest.approx(expected.numpy(), rel=1e-3, abs=1e-6)


def test_check_says_what_a_directory_serves_and_why_one_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directories.text_model(tmp_path / "mood")
    file = tmp_path / "serve.yaml"
    serve = (PROJECT / "serve_config.yaml").read_text()
    raw = yaml.safe_load(serve)
    raw["applications"] = [app for app in raw["applications"] if app["name"] in ("root", "digits")]
    source = {"pretrained": str(tmp_path / "mood"), "task": "text-classification"}
    raw["applications"][1]["args"] = {"name": "digits", "source": source}
    file.write_text(yaml.safe_dump(raw))
    assert check([file]) == CLEAN
    said = capsys.readouterr().out
    assert "text BYTES [-1] to label BYTES [-1], score FP32 [-1], scores FP32 [-1, 3], lengths [8, 16, 32, 64]" in said
    (tmp_path / "mood" / "config.json").unlink()
    assert check([file]) == PROBLEMS
    assert "has no config.json, so it is no directory of transformers" in capsys.readouterr().out


def test_the_open_size_may_have_a_name(tmp_path: Path) -> None:
    folder, asked = directories.text_model(tmp_path), texts()
    own = config(folder, "text-classification", dims={"tokens": {"sizes": [16, 64], "pad": {"input_ids": 1}}})
    assert own.lengths is None
    named = answers(own, split("text", [each.encode() for each in asked]))
    plain = answers(config(folder, "text-classification", lengths=[16, 64]), [request("text", [b"a lazy dog"])])
    assert rows_of(named, "scores")[0] == pytest.approx(plain[0]["scores"][0], rel=1e-4)
    with pytest.raises(ModelError, match="lengths: image-classification has no open sizes"):
        config(directories.image_model(tmp_path / "image"), "image-classification", lengths=[8])


FAMILIES: dict[str, dict[str, Any]] = {
    "DebertaV2": {**directories.SMALL, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "Albert": {**directories.SMALL, "embedding_size": 16},
    "ModernBert": {**directories.SMALL, "pad_token_id": 0},
    "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "pad_token_id": 0},
}


def family(folder: Path, kind: str, settings: dict[str, Any]) -> Path:
    torch.manual_seed(5)
    words = directories.tokenizer()
    settings_of = getattr(transformers, f"{kind}Config")(vocab_size=len(words), **settings)
    transformers.AutoModelForSequenceClassification.from_config(settings_of).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_family_that_masks_its_padding_starts(tmp_path: Path, kind: str) -> None:
    own = config(family(tmp_path, kind, FAMILIES[kind]), "text-classification", lengths=[8, 32])
    assert open_model(own, "cpu").checks.padding.code == "passed"


def test_a_network_that_reads_its_padding_is_refused_by_the_start(tmp_path: Path) -> None:
    """XLNet takes the last token for the text's, and its own tokenizer pads on the left."""
    folder = family(tmp_path, "XLNet", {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 37})
    with pytest.raises(ModelError, match="a row of length 1, padded to 8 and unpadded, differs"):
        open_model(config(folder, "text-classification", lengths=[8, 32]), "cpu")


def test_a_start_completes_a_config_whatever_is_left_out(tmp_path: Path) -> None:
    source = {"pretrained": str(directories.text_model(tmp_path / "m")), "task": "text-classification"}
    text = [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    for given in ({}, {"inputs": text}):
        args = {"name": "m", "source": source, "max_batch_size": 2, **given}
        assert open_model(parse_model(args), "cpu").config.lengths == (8, 16, 32, 64)
