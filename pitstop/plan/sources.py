"""Where a model's profiles come from: measured here, or given as files or as the URL of a model that runs."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import requests

from configs.schema import ModelConfig

from ..load.token import token_header
from . import measure
from .profile import Profile, ProfileError, parse, read

_TIMEOUT_S = 10
_EXAMPLE = "http://127.0.0.1:8000/v2/models/digits"


def given(places: Sequence[str], config: ModelConfig, length: int | None) -> Iterator[Profile]:
    """Yield the profile of each file or URL."""
    for place in places:
        found = _asked(place, length) if place.startswith(("http://", "https://")) else read(Path(place), length)
        if found.model and found.model != config.name:
            help_ = f"give a profile of {config.name}, or plan --model {found.model}"
            raise ProfileError(f"{place}: is a profile of {found.model}, not of {config.name}\nhelp: {help_}")
        yield replace(found, model=config.name)


def measured(
    config: ModelConfig, both: bool, budget_s: float, length: int | None, tell: Callable[[str], None]
) -> Iterator[Profile]:
    """Yield the profile on each device that the model may use here; on both where both have a price."""
    # torch takes seconds to import, and plans from files do without it.
    from models.errors import ModelError

    try:
        for device in measure.devices_here(config, both):
            yield measure.profile_here(config, device, budget_s, length, tell)
    except ModelError as error:
        raise ProfileError(f"{config.name}: {error}") from error


def save(profiles: Sequence[Profile], path: Path) -> None:
    """Write each profile to a file; where there are several, the device goes into the name."""
    for profile in profiles:
        place = path if len(profiles) == 1 else path.with_name(f"{path.stem}-{profile.device}{path.suffix}")
        try:
            place.write_text(json.dumps(profile.as_json(), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise ProfileError(f"{place}: cannot be written ({error.strerror})\nhelp: name another file") from error


def _asked(url: str, length: int | None) -> Profile:
    try:
        answer = requests.get(url, timeout=_TIMEOUT_S, headers=token_header())
        answer.raise_for_status()
        return parse(answer.json(), url, length)
    except (requests.RequestException, ValueError) as error:
        what = f"gives no metadata of a model ({type(error).__name__})"
        raise ProfileError(f"{url}: {what}\nhelp: see that it runs; write its URL like {_EXAMPLE}") from error
