"""Loads a pretrained network, and wraps it: the arrays of `preprocess` in, those for `postprocess` out.

What lies beyond a row's own tokens or frames is 0, so that no answer depends on what it was padded to.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from configs.schema import ModelConfig, Task

from ...errors import ModelError
from .completion import longest_row, network_of, rows_alone
from .directory import Directory, find
from .library import NETWORKS, configuration, library, refuse_remote_code, unreadable
from .pooling import sentences_of

# Weights that are only for training, or that no task here reads.
_UNREAD = ("masked_spec_embed", "pooler.", "position_ids")


def load(config: ModelConfig) -> nn.Module:
    """Return the network of a completed config, in FP32, on the CPU.

    Raises:
        ModelError: the directory has no safetensors, lacks weights of the task's network, or needs code of its own.
    """
    directory, task = find(config.source), config.source.task
    assert task is not None
    return _WRAP[task](_network(network_of(directory, task), task), directory, longest_row(config))


class TextClassifier(nn.Module):
    """Logits [n, labels]."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network, self.pad = network, int(network.config.pad_token_id or 0)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> dict[str, Tensor]:
        return {"logits": _texts(self.network, self.pad, input_ids, attention_mask, token_type_ids).logits}


class TokenClassifier(nn.Module):
    """Logits [n, tokens, labels] and the tokens' spans [n, tokens, 3]; 0 beyond a row's own tokens."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network, self.pad = network, int(network.config.pad_token_id or 0)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, spans: Tensor, token_type_ids: Tensor | None = None
    ) -> dict[str, Tensor]:
        found = _texts(self.network, self.pad, input_ids, attention_mask, token_type_ids).logits
        return {"logits": found.masked_fill(attention_mask[:, :, None] == 0, 0), "spans": spans.clone()}


class SentenceEncoder(nn.Module):
    """One vector [n, width] a text."""

    def __init__(self, network: Any, pooling: str, normalise: bool) -> None:
        super().__init__()
        self.network, self.pad = network, int(network.config.pad_token_id or 0)
        self.pooling, self.normalise = pooling, normalise

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> dict[str, Tensor]:
        states = _texts(self.network, self.pad, input_ids, attention_mask, token_type_ids).last_hidden_state.float()
        if self.pooling == "cls":
            vector = states[:, 0]
        elif self.pooling == "lasttoken":
            last = (attention_mask.sum(1) - 1).clamp(min=0)
            vector = states.gather(1, last[:, None, None].expand(-1, 1, states.shape[2]))[:, 0]
        else:
            weight = attention_mask[:, :, None].float()
            vector = (states * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
        return {"embedding": nn.functional.normalize(vector, dim=1) if self.normalise else vector}


class ImageClassifier(nn.Module):
    """Logits [n, labels]."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixel_values: Tensor) -> dict[str, Tensor]:
        return {"logits": self.network(pixel_values=pixel_values).logits}


class Detector(nn.Module):
    """Logits [n, queries, labels] and boxes [n, queries, 4], and the sizes of the pictures as they were sent.

    Pictures of unlike sizes run one after the other, each cut to its own: convolutions would read the padding.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixel_values: Tensor, target_sizes: Tensor, sizes: Tensor | None = None) -> dict[str, Tensor]:
        if sizes is None:
            found = [self.network(pixel_values=pixel_values)]
        else:
            cut = [
                each[None, :, :height, :width]
                for each, (height, width) in zip(pixel_values, sizes.tolist(), strict=True)
            ]
            found = [self.network(pixel_values=each) for each in cut]
        return {
            "logits": torch.cat([each.logits for each in found]),
            "pred_boxes": torch.cat([each.pred_boxes for each in found]),
            "target_sizes": target_sizes.clone(),
        }


class SpeechRecogniser(nn.Module):
    """Logits [n, most frames, letters], 0 beyond a row's own frames, and how many these are.

    A network whose convolutions are normalised over time (`alone`) would read its padding: its rows run one after the
    other, each cut to its own samples.
    """

    def __init__(self, network: Any, alone: bool, longest: int) -> None:
        super().__init__()
        self.network, self.alone = network, alone
        self.most = int(self._frames(torch.tensor(longest)))

    def forward(self, input_values: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        samples = attention_mask.sum(1)
        if self.alone:
            cut = [each[None, :count] for each, count in zip(input_values, samples.tolist(), strict=True)]
            found = torch.cat([_widened(self.network(input_values=each).logits, self.most) for each in cut])
        else:
            found = _widened(self.network(input_values=input_values, attention_mask=attention_mask).logits, self.most)
        frames = self._frames(samples).clamp(0, self.most)
        within = torch.arange(self.most, device=frames.device)[None] < frames[:, None]
        return {"logits": found.masked_fill(~within[:, :, None], 0), "frames": frames}

    def _frames(self, samples: Tensor) -> Tensor:
        counted: Tensor = self.network._get_feat_extract_output_lengths(samples)
        return counted


def _texts(network: Any, pad: int, ids: Tensor, mask: Tensor, types: Tensor | None) -> Any:
    # Some networks look for the padding's id and not at the mask; a batch is padded with 0.
    given = {"input_ids": ids.masked_fill(mask == 0, pad), "attention_mask": mask}
    return network(**given) if types is None else network(**given, token_type_ids=types)


def _widened(found: Tensor, longest: int) -> Tensor:
    """Return [n, any, last] padded with 0 to [n, longest, last]; what is longer is a start's own rows, and cut."""
    return nn.functional.pad(found, (0, 0, 0, longest - found.shape[1]))


def _network(directory: Directory, task: Task) -> Any:
    configuration(directory, task)
    if not directory.has("*.safetensors"):
        others = " (its *.bin are pickles, which could run code)" if directory.has("*.bin") else ""
        raise ModelError(
            f"{directory.location}: has no safetensors{others}\n"
            "help: save it again with a version of transformers that writes safetensors, where you trust its weights: "
            "model.save_pretrained(DIR)"
        )
    kind, _ = NETWORKS[task]
    library().utils.logging.disable_progress_bar()
    try:
        network, said = getattr(library(), kind).from_pretrained(
            str(directory.path), use_safetensors=True, trust_remote_code=False, output_loading_info=True
        )
    except Exception as error:  # Whatever the files lead to.
        refuse_remote_code(directory, "config.json", error)
        raise unreadable(directory, "its network", error) from error
    missing = [*said["missing_keys"], *(each[0] for each in said["mismatched_keys"])]
    if missing := sorted(each for each in missing if not any(part in each for part in _UNREAD)):
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise ModelError(
            f"{directory.location}: its weights lack {', '.join(missing[:3])}{more}, which {task} needs: they would be "
            "drawn at random\nhelp: name a directory that was trained for this task, or change source.task"
        )
    return network.float()


def _speech(network: Any, directory: Directory, longest: int) -> nn.Module:
    if not hasattr(network, "_get_feat_extract_output_lengths"):
        raise ModelError(
            f"{directory.location}: a {network.config.model_type} does not say how many frames it makes of "
            "its samples\nhelp: name a factory and hooks of yours"
        )
    alone = rows_alone("automatic-speech-recognition", directory, network.config)
    return SpeechRecogniser(network, alone, longest)


def _sentences(network: Any, directory: Directory, _longest: int) -> nn.Module:
    sentences = sentences_of(directory)
    return SentenceEncoder(network, sentences.pooling, sentences.normalise)


_WRAP: dict[Task, Callable[[Any, Directory, int], nn.Module]] = {
    "text-classification": lambda network, _directory, _longest: TextClassifier(network),
    "token-classification": lambda network, _directory, _longest: TokenClassifier(network),
    "sentence-embedding": _sentences,
    "image-classification": lambda network, _directory, _longest: ImageClassifier(network),
    "object-detection": lambda network, _directory, _longest: Detector(network),
    "automatic-speech-recognition": _speech,
}
