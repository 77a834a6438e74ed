"""The prepared models as every peer calls them, and the limit too: a list of inputs in, float32 [n, outputs] back.

Imports nothing of the project beyond this package: it also runs in the peers' environments, which have torch and numpy.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from . import cache
from .device import chosen
from .workloads import WORKLOADS, Array

Inputs = Sequence[Any]
Model = Callable[[Inputs], Array]
Tensors = tuple[torch.Tensor, ...]

MAX_TOKENS = 256


def load(workload: str, max_batch_size: int) -> Model:
    """Return a warmed model on one thread: the TorchScript that pitstop too would make of it."""
    model = _on_gpu(workload, max_batch_size) if chosen().is_gpu else _on_cpu(workload)
    examples = list(WORKLOADS[workload].inputs()) * max_batch_size
    for rows in range(1, max_batch_size + 1):
        # Every size for the small model; few for the large ones, where a size costs a second.
        if workload == "mlp" or rows & (rows - 1) == 0:
            for _ in range(3):
                model(examples[:rows])
    return model


def _on_cpu(workload: str) -> Model:
    forward, collate = script(workload), collator(workload)

    def model(inputs: Inputs) -> Array:
        with torch.inference_mode():
            found: Array = forward(*collate(inputs)).float().numpy()
        return found

    return model


def _on_gpu(workload: str, max_batch_size: int) -> Model:
    forward, collate = script(workload), collator(workload)

    def model(inputs: Inputs) -> Array:
        with torch.inference_mode():
            found: Array = forward(*to_gpu(collate(padded(inputs, max_batch_size)))).float().cpu().numpy()
        return found[: len(inputs)]

    return model


def script(workload: str) -> Callable[..., torch.Tensor]:
    """Return the bare forward, and hold torch to one thread: all servers of a comparison have as many."""
    torch.set_num_threads(1)
    where = chosen()
    forward = torch.jit.load(cache.prepared(workload), map_location=where.kind)  # type: ignore[no-untyped-call]
    if where.is_gpu:
        # As pitstop sets them: batches are padded to few sizes, so the search is worth its time (networks.padded).
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = where.precision == "tf32"
    elif workload == "resnet50":
        # As pitstop does by itself on a CPU (models/startup/onednn_packing.py), so every peer and the limit get it too.
        forward = torch.jit.optimize_for_inference(forward)
    found: Callable[..., torch.Tensor] = forward
    return found


def collator(workload: str) -> Callable[[Inputs], Tensors]:
    """Return what stacks single inputs to the tensors that the forward takes."""
    return {"mlp": lambda: _vectors, "resnet50": lambda: _images, "minilm": _sentences}[workload]()


def padded(inputs: Inputs, top: int) -> Inputs:
    """Repeat the last input up to the next power of two, `top` at most: on a GPU few sizes, for cuDNN to know them."""
    rows = min(1 << (len(inputs) - 1).bit_length(), top)
    return inputs if rows <= len(inputs) else [*inputs, *[inputs[-1]] * (rows - len(inputs))]


def to_gpu(tensors: Tensors) -> Tensors:
    """Copy a batch to the GPU, images in the memory format of the weights."""
    moved = (each.to("cuda", non_blocking=True) for each in tensors)
    return tuple(each.contiguous(memory_format=torch.channels_last) if each.dim() == 4 else each for each in moved)


def _vectors(inputs: Inputs) -> Tensors:
    return (torch.from_numpy(np.asarray(inputs, np.float32)),)


def _images(inputs: Inputs) -> Tensors:
    """Stack arrays, or the bytes of arrays, to [n, 3, 224, 224]; on the CPU in the memory format of the weights."""
    arrays = [np.frombuffer(each, np.uint8) if isinstance(each, bytes | bytearray) else each for each in inputs]
    batch = torch.from_numpy(np.stack(arrays).reshape(-1, 3, 224, 224))
    # A GPU turns it faster, once it is there.
    return (batch if chosen().is_gpu else batch.contiguous(memory_format=torch.channels_last),)


def _sentences() -> Callable[[Inputs], Tensors]:
    from tokenizers import Tokenizer

    words = Tokenizer.from_file(str(cache.tokenizer()))
    words.enable_truncation(MAX_TOKENS)
    words.enable_padding()

    def tokenize(inputs: Inputs) -> Tensors:
        found = words.encode_batch(list(inputs))
        ids = torch.tensor([each.ids for each in found])
        return ids, torch.tensor([each.attention_mask for each in found])

    return tokenize
