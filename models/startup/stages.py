"""The stages of a start. Each takes what those before it returned, and returns a value of its own."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from pydantic import ValidationError

from configs.parse import first_rule_broken
from configs.schema import ModelConfig

from ..compile.build import Compiled, Uncompiled, compile_with
from ..errors import ModelError
from ..runtime.dims import all_sizes
from ..runtime.layout import Layout
from ..runtime.runner import Runner
from ..signature import Tensor, as_config, listed, signature_of
from ..sources import source
from ..sources.hooks import Hook, hooks_of
from . import mistake_checks
from .batch_size_selection import select_batch_size
from .check_error import failing
from .check_results import CoBatchedRows, InferenceMode, Padding
from .co_batched_rows import co_batched_rows
from .complete import completed
from .cuda_graphs import graph
from .eager_checks import Eager, eager
from .eager_reference import Reference
from .input_binding import BY_NAME, bind
from .onednn_packing import pack
from .output_binding import ONE_TENSOR
from .padding_check import padding
from .postprocess_check import check_postprocess, postprocess_outputs
from .prepare import freeze_in_eval, prepare
from .row_checks import count_of, prepared, same_twice, staged
from .sample_inputs import SampleInputs, draw_of
from .warmup import Warmed, warm

_log = logging.getLogger("pitstop")


@dataclass(frozen=True, slots=True)
class BoundModel:
    """A loaded module in eval that takes the sample inputs in their order; `passed` says how that order was found.

    `outputs` are the declared ones, which `postprocess` returns where there is one, and else the network.
    """

    module: torch.nn.Module
    samples: SampleInputs
    outputs: tuple[Tensor, ...]
    passed: str
    postprocess: Hook | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A module on its device, in its precision; `config` has the arithmetic that it runs in."""

    module: torch.nn.Module
    samples: SampleInputs
    outputs: tuple[Tensor, ...]
    layout: Layout
    config: ModelConfig


def complete(config: ModelConfig, module: torch.nn.Module | None) -> tuple[ModelConfig, torch.nn.Module | None]:
    """Return the config with its inputs, and the module, which is loaded for them only where nothing else tells."""
    if module is None and not config.inputs and config.source.exported_program is not None and config.example is None:
        module = source.load(config.source)
    whole = completed(config, module)
    if not config.inputs:
        _log.info("%s: inputs found: %s", config.name, listed(whole.inputs))
    return whole, module


def bind_source(config: ModelConfig, module: torch.nn.Module | None) -> BoundModel:
    """Load what the source names, in eval, and put its inputs into forward's order."""
    # The hooks first: their errors show at once, while loading weights may take minutes.
    hooks = hooks_of(config)
    samples = draw_of(config, hooks)
    loaded = source.load_for(config) if module is None else module
    bound, samples = bind(freeze_in_eval(loaded), samples)
    _log.info("%s: checked with %s", config.name, samples.source)
    if bound.how != BY_NAME:
        _log.info("%s: inputs are passed %s", config.name, bound.how)
    return BoundModel(bound.module, samples, signature_of(config).outputs, bound.how, hooks.postprocess)


def check_eagerly(bound: BoundModel, config: ModelConfig, place: torch.device) -> Eager:
    """Run the network as it was written, and choose the arithmetic that the prepared one is to have."""
    hook, samples = bound.postprocess, bound.samples
    given, found_for = (bound.outputs, "outputs") if hook is None else ((), "postprocess")
    checked = eager(bound.module, config, place, samples, given, found_for)
    if checked.arithmetic.why:
        _log.info("%s: runs %s", config.name, checked.arithmetic.why)
    if checked.reading.how not in (BY_NAME, ONE_TENSOR):
        _log.info("%s: outputs are read %s", config.name, checked.reading.how)
    if hook is not None and bound.outputs:
        with _drawing(config, "postprocess"):
            check_postprocess(hook, checked.reference, samples, bound.outputs)
    if samples.preprocess is not None:
        with _drawing(config, "preprocess"):
            samples(1, seed=3)
    return checked


def declared(bound: BoundModel, checked: Eager, config: ModelConfig) -> ModelConfig:
    """Return the config with the outputs that the start found, where it leaves them out."""
    if bound.outputs:
        return config
    found = checked.reference.outputs
    if bound.postprocess is not None:
        found = postprocess_outputs(bound.postprocess, checked.reference, bound.samples)
    try:
        whole = config.model_copy(update={"outputs": tuple(as_config(each) for each in found)})
    except ValidationError as error:
        said = first_rule_broken(error)
        names = ", ".join(repr(each.name) for each in found)
        raise ModelError(f"outputs: of those found, {names}: {said}\nhelp: list outputs in the config") from error
    _log.info("%s: outputs found: %s", config.name, listed(whole.outputs))
    return whole


def prepare_module(bound: BoundModel, checked: Eager) -> Prepared:
    """Move the module to its device, precision and memory format."""
    config = checked.arithmetic.config
    reads = checked.reading.wrapped(bound.module, bound.samples.model_inputs)
    module = prepare(reads, config, checked.layout)
    return Prepared(module, bound.samples, checked.reference.outputs, checked.layout, config)


def compile_module(ready: Prepared) -> Compiled:
    """Compile by the config's backend."""
    samples, layout = ready.samples, ready.layout
    given = ready.module, _probes(samples, layout), samples.model_inputs, ready.outputs, layout, ready.config
    return compile_with(Uncompiled(*given, draw=partial(staged, samples, layout)))


def warm_shapes(ready: Prepared, compiled: Compiled) -> Warmed:
    """Run every shape to be served, with what is faster on its device than the compiled forward."""
    layout = ready.layout
    if layout.dims:
        sizes = " x ".join(f"{len(dim.sizes)} of {dim.name or 'length'}" for dim in layout.dims)
        counts = len(layout.shapes), len(layout.sizes), sizes
        _log.info("%s: warms %d shapes: %d numbers of rows x %s", ready.config.name, *counts)
    runner = Runner(compiled.forward, ready.samples.model_inputs, ready.outputs, ready.layout)
    if ready.layout.device.type == "cpu":
        return pack(runner, ready.samples)
    warmed = Warmed(runner, warm(runner, ready.samples))
    if not ready.config.cuda_graphs or ready.config.random:
        # A graph that is replayed must not repeat what was drawn when it was captured.
        return warmed
    # Before anything is captured: a graph would repeat whatever state Python kept at that moment.
    with failing(InferenceMode):
        same_twice(prepared(runner, None), ready.samples, ready.layout, ready.outputs, random=False)
    return graph(warmed, ready.samples)


def choose_sizes(ready: Prepared, warmed: Warmed) -> Warmed:
    """Run again the batch sizes whose times are too close to tell apart."""
    return Warmed(warmed.runner, select_batch_size(warmed.runner, ready.samples, warmed.forward_ms))


def prove_rows(ready: Prepared, runner: Runner, reference: Reference) -> tuple[InferenceMode, Padding, CoBatchedRows]:
    """Show that an answer depends on its own row alone."""
    samples, config = ready.samples, ready.config
    inference_mode = mistake_checks.inference_mode(ready.module, runner, samples, config)
    with failing(Padding):
        padded = padding(runner, reference, samples, config)
    with failing(CoBatchedRows):
        return inference_mode, padded, co_batched_rows(runner, samples, config)


def _probes(samples: SampleInputs, layout: Layout) -> list[list[torch.Tensor]]:
    sizes = {layout.sizes[0], count_of(layout.sizes[-1]), layout.sizes[-1]}
    least, *others = all_sizes(layout.dims)
    return [
        staged(samples, layout, (size, open_sizes), seed)
        for seed, size in enumerate(sorted(sizes, reverse=True))
        for open_sizes in (least, *others[-1:])
    ]


@contextmanager
def _drawing(config: ModelConfig, key: str) -> Iterator[None]:
    """Warn where a hook draws from the generator that a request's seed sets: it may do so in the midst of a forward."""
    before = torch.random.get_rng_state()
    yield
    if config.random and not torch.equal(before, torch.random.get_rng_state()):
        _log.warning(
            "%s: %s draws torch's random numbers, so a request with a seed may get others than the seed's\n"
            "help: give the hook a torch.Generator of its own",
            config.name,
            key,
        )
