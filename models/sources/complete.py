"""Fills in what a config leaves to its source, before anything else reads it.

Whoever reads inputs, outputs, lengths or hooks of a config calls this first: then only the source's own file knows that
they were not written. It reads no weights, so an ingress replica and `pitstop check` can call it too.
"""

from configs.schema import ModelConfig


def completed(config: ModelConfig) -> ModelConfig:
    """Return a config that says all that is served; the same one where it says so already.

    Raises:
        ModelError: the source does not tell what is missing, or contradicts what is written.
    """
    if config.source.pretrained is None:
        return config
    from .pretrained.completion import completed

    return completed(config)
