"""A config file's models with what their sources say of them, for commands that ask what a model takes and gives."""

from dataclasses import replace
from pathlib import Path

from configs.loader import ConfigError, Deployment, ModelApp, load


def load_completed(path: Path) -> Deployment:
    """Load a file, and complete its models.

    Raises:
        ConfigError: the file has problems, or a source cannot tell what its config leaves out.
    """
    deployment = load(path)
    return replace(deployment, models=tuple(map(complete, deployment.models)))


def complete(app: ModelApp) -> ModelApp:
    """Return a model whose config is complete; raise ConfigError where its source does not tell what is missing."""
    if app.config.complete:
        return app
    # numpy takes part of a second to import; a file with its signatures need not wait for it.
    from models.errors import ModelError
    from models.startup.complete import completed

    try:
        return replace(app, config=completed(app.config))
    except ModelError as error:
        raise ConfigError(f"{app.name}: {error}") from error
