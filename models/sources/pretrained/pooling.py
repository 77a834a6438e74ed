"""How a sentence's vector is made of its tokens', as sentence-transformers writes it beside a network."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import ModelError
from .directory import Directory

_WAYS = ("mean", "cls", "lasttoken")
# As earlier versions wrote them.
_FLAGS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
}


@dataclass(frozen=True, slots=True)
class Sentences:
    """How texts become vectors.

    `network` is the directory of the network itself. Its tokens are put together by `pooling`, and the vector is
    brought to length one if `normalise`. `longest` is the most tokens of a text, None where nothing says it. `prefix`
    is put before every text, which is then lowered if `lower`.
    """

    network: Directory
    pooling: str = "mean"
    normalise: bool = False
    longest: int | None = None
    lower: bool = False
    prefix: str = ""


def sentences_of(directory: Directory) -> Sentences:
    """Return what modules.json says; the mean of the tokens where there is none.

    Raises:
        ModelError: it has a module, or a way of pooling, that is not known here.
    """
    found, own = Sentences(directory), directory.json("config_sentence_transformers.json")
    found = replace(found, prefix=(own.get("prompts") or {}).get(own.get("default_prompt_name")) or "")
    for module in directory.json("modules.json") or ():
        kind = str(module["type"]).rpartition(".")[2]
        inner = Directory(directory.path / Path(str(module.get("path", ""))).name, directory.location)
        if kind == "Transformer":
            settings: Any = inner.json("sentence_bert_config.json")
            found = replace(found, network=inner, longest=settings.get("max_seq_length"))
            found = replace(found, lower=bool(settings.get("do_lower_case")))
        elif kind == "Pooling":
            found = replace(found, pooling=_pooling(inner, bool(found.prefix)))
        elif kind == "Normalize":
            found = replace(found, normalise=True)
        else:
            raise ModelError(
                f"{directory.location}: modules.json has a {kind}, and a transformer, its pooling and a normalisation "
                "are what is known here\nhelp: name a factory of yours that builds the network"
            )
    return found


def _pooling(directory: Directory, prefixed: bool) -> str:
    settings = directory.json("config.json")
    named = settings.get("pooling_mode", [way for key, way in _FLAGS.items() if settings.get(key)])
    ways = [named] if isinstance(named, str) else list(named)
    if len(ways) != 1 or ways[0] not in _WAYS or (prefixed and not settings.get("include_prompt", True)):
        said = " and ".join(map(str, ways)) or "none"
        raise ModelError(
            f"{directory.location}: its pooling is {said}{' without its prompt' if prefixed else ''}, and "
            f"{', '.join(_WAYS)}, each alone, are known here\nhelp: name a factory of yours that builds the network"
        )
    return str(ways[0])
