"""`pitstop kubernetes`: a Serve config as manifests for KubeRay, KServe and Prometheus."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from configs.loader import ConfigError, check

from ..report.terminal import plain_console
from .groups import groups_of
from .write import manifests

DONE, UNUSABLE = 0, 2


@dataclass(frozen=True, slots=True)
class KubernetesOptions:
    """What the command line asks for."""

    config: Path
    out: Path
    image: str
    name: str


def kubernetes(options: KubernetesOptions, console: Console | None = None) -> int:
    """Write the manifests, say which they are, and return the exit status."""
    console = console or plain_console(markup=False, soft_wrap=True)
    try:
        files = rendered(options)
    except ConfigError as error:
        console.print(str(error), style="red")
        return UNUSABLE
    options.out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (options.out / name).write_text(text, encoding="utf-8")
        console.print(str(options.out / name))
    return DONE


def rendered(options: KubernetesOptions) -> dict[str, str]:
    """Return the manifests by file name; raise ConfigError where the config has errors or cannot be served there."""
    deployment, found = check(options.config)
    errors = [problem.text(place) for place, problem in found if problem.severity == "error"]
    if errors or deployment is None:
        raise ConfigError("\n".join(errors))
    groups = groups_of(deployment)
    text = options.config.read_text(encoding="utf-8")
    return manifests(options.name, options.image, options.config.as_posix(), text, deployment.raw, groups)
