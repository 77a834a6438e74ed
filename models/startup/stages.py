"""The stages of a start. Each takes what those before it returned, and returns a value of its own."""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from pydantic import ValidationError

from configs.backends import AUTO as AUTO_BACKEND
from configs.backends import backend_of
from configs.parse import first_rule_broken
from configs.precisions import AUTO
from configs.schema import ModelConfig

from ..compile.identity import identity
from ..errors import ModelError
from ..runtime.forward_times import undisturbed
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
from .contender import Contender
from .cuda_graphs import Graphed, graph
from .eager_checks import Eager, eager, first_that_runs
from .eager_reference import Reference
from .embedded_inputs import unbounded
from .input_binding import BY_NAME, bind
from .kept_start import KeptStart
from .onednn_packing import pack_again
from .output_binding import ONE_TENSOR
from .padding_check import padding
from .postprocess_check import check_postprocess, postprocess_outputs
from .prepare import freeze_in_eval
from .prepared import Prepared
from .row_checks import prepared, same_twice
from .sample_inputs import SampleInputs, draw_of
from .warmup import Warmed, run_again, warm

_log = logging.getLogger("pitstop")
# Of a start that an earlier one has made sure of.
_AGAIN_MS = 1000


@dataclass(frozen=True, slots=True)
class BoundModel:
    """A loaded module in eval that takes the sample inputs in their order; `passed` says how that order was found.

    `outputs` are the declared ones, which `postprocess` returns where there is one, and else the network. `identity` is
    the network's as it was loaded, where something of it can be kept.
    """

    module: torch.nn.Module
    samples: SampleInputs
    outputs: tuple[Tensor, ...]
    passed: str
    postprocess: Hook | None
    identity: str | None = None


def complete(config: ModelConfig, module: torch.nn.Module | None) -> tuple[ModelConfig, torch.nn.Module | None]:
    """Return the config with its inputs, and the module, which is loaded for them only where nothing else tells."""
    if config.precision == AUTO and config.accept is None:
        _log.info(
            "%s: precision: auto stays at fp32: the config has no accept, which says what is near enough", config.name
        )
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
    # Before anything has run: a network may change at its first forward.
    known = identity(loaded, config.source)
    bound, samples = bind(freeze_in_eval(loaded), samples)
    _log.info("%s: checked with %s", config.name, samples.source)
    if bound.how != BY_NAME:
        _log.info("%s: inputs are passed %s", config.name, bound.how)
    return BoundModel(bound.module, samples, signature_of(config).outputs, bound.how, hooks.postprocess, known)


def _network_outputs(bound: BoundModel) -> tuple[tuple[Tensor, ...], str]:
    """Return the outputs that the network itself is to return, none where they are found, and for whom they are."""
    return (bound.outputs, "outputs") if bound.postprocess is None else ((), "postprocess")


def check_eagerly(bound: BoundModel, config: ModelConfig, place: torch.device) -> Eager:
    """Run the network as it was written, and choose the arithmetic that the prepared one is to have."""
    hook, samples = bound.postprocess, bound.samples
    checked = eager(bound.module, config, place, samples, *_network_outputs(bound))
    if checked.arithmetic.why:
        _log.info("%s: runs %s", config.name, checked.arithmetic.why)
    if checked.reading.how not in (BY_NAME, ONE_TENSOR):
        _log.info("%s: outputs are read %s", config.name, checked.reading.how)
    _warn_of_ids(bound, checked, config)
    if hook is not None and bound.outputs:
        with _drawing(config, "postprocess"):
            check_postprocess(hook, checked.reference, samples, bound.outputs)
    if samples.preprocess is not None:
        with _drawing(config, "preprocess"):
            samples(1, seed=3)
    return checked


def run_eagerly(bound: BoundModel, config: ModelConfig, place: torch.device) -> Eager:
    """Run the network once as it was written, where an earlier start has checked it."""
    checked = first_that_runs(bound.module, config, place, bound.samples, *_network_outputs(bound))
    _warn_of_ids(bound, checked, config)
    return checked


def _warn_of_ids(bound: BoundModel, checked: Eager, config: ModelConfig) -> None:
    # What a hook returns is the config's own code, and no client's.
    if bound.samples.preprocess is None:
        for sentence in unbounded(bound.samples.inputs, checked.embedded):
            _log.warning("%s: %s", config.name, sentence)


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


def warm_shapes(chosen: Contender) -> Warmed:
    """Run every shape to be served that did not run yet, on a GPU from CUDA graphs where these are faster."""
    ready, runner, samples = chosen.ready, chosen.runner, chosen.ready.samples
    layout, config = ready.layout, ready.config
    if layout.dims:
        sizes = " x ".join(f"{len(dim.sizes)} of {dim.name or 'length'}" for dim in layout.dims)
        counts = len(layout.shapes), len(layout.sizes), sizes
        _log.info("%s: warms %d shapes: %d numbers of rows x %s", config.name, *counts)
    rest = [shape for shape in layout.shapes if shape not in chosen.forward_ms]
    warmed = Warmed(runner, chosen.forward_ms | warm(runner, samples, rest))
    if layout.device.type == "cpu" or not config.cuda_graphs or config.random:
        # A graph that is replayed must not repeat what was drawn when it was captured.
        return warmed
    # Before anything is captured: a graph would repeat whatever state Python kept at that moment.
    with failing(InferenceMode):
        same_twice(prepared(runner, None), samples, layout, ready.outputs, random=False)
    return graph(warmed, samples)


def warm_again(chosen: Contender, known: KeptStart) -> tuple[Warmed, int]:
    """Warm what an earlier start has warmed; return how many shapes ran: on a CPU as many as there is time for.

    The earlier start may have been disturbed, as by others beside it: what runs faster now counts.
    """
    if chosen.ready.layout.device.type == "cuda":
        warmed = warm_shapes(chosen)
        return replace(warmed, forward_ms=undisturbed(known.forward_ms, warmed.forward_ms)), len(warmed.forward_ms)
    runner = chosen.runner if known.packed_from is None else pack_again(chosen.runner, known.packed_from)
    budget_ms = _AGAIN_MS if backend_of(known.candidate.backend).one_program else math.inf
    ran_ms = run_again(runner, chosen.ready.samples, known.forward_ms, budget_ms)
    return Warmed(runner, undisturbed(known.forward_ms, ran_ms), known.packed_from), len(ran_ms)


def choose_sizes(ready: Prepared, warmed: Warmed) -> Warmed:
    """Run again the batch sizes whose times are too close to tell apart."""
    return Warmed(warmed.runner, select_batch_size(warmed.runner, ready.samples, warmed.forward_ms))


def prove_rows(ready: Prepared, runner: Runner, reference: Reference) -> tuple[InferenceMode, Padding, CoBatchedRows]:
    """Show that an answer depends on its own row alone."""
    samples, config = ready.samples, ready.config
    inference_mode = mistake_checks.inference_mode(ready.module, runner, samples, config)
    forward = runner.forward.plain if isinstance(runner.forward, Graphed) else runner.forward
    # With backend: auto eager has its turn anyway.
    compiled = forward is not ready.module and config.backend != AUTO_BACKEND
    with failing(Padding):
        padded = padding(runner, reference, samples, config, compiled)
    with failing(CoBatchedRows):
        return inference_mode, padded, co_batched_rows(runner, samples, config)


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
