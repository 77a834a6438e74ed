"""What an audit judges: one model's config, its neighbours, and what was measured. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.backends import AUTO
from configs.loader import ModelApp
from configs.problems import Keys

from ..plan.place import deployment_keys
from .audit_result import Choice
from .finding import Finding
from .step import (
    DEFAULT_BATCH,
    DEFAULT_ONE,
    ForwardSetting,
    Step,
    batches,
    configured,
    fastest,
    find,
    forgone,
    setting_of,
)


@dataclass(frozen=True, slots=True)
class Case:
    """One model. `model_findings` come from its code and its answers, before anything was timed.

    `ops_per_row` is how many more operations forward runs for each row; `complete` is false if steps are missing.
    `choice` is what a start chose, where the config leaves that to it.
    """

    app: ModelApp
    keys: Keys
    raw: Mapping[str, Any]
    neighbours: tuple[ModelApp, ...]
    device: str
    fallback: str | None
    cores: int
    steps: tuple[Step, ...] = ()
    model_findings: tuple[Finding, ...] = ()
    ops_per_row: float = 0.0
    complete: bool = True
    choice: Choice | None = None
    path: Path = Path("CONFIG")

    @property
    def here(self) -> ForwardSetting:
        """What runs: the setting of the config, or what a start chose."""
        return self.choice.setting if self.choice else setting_of(self.app.config)

    @property
    def chose(self) -> str:
        """`auto chose AOTInductor fp32`; nothing where the config leaves no choice."""
        if self.choice is None:
            return ""
        free = AUTO in (self.app.config.backend, self.app.config.precision)
        return f"{AUTO if free else 'the start'} chose {self.here.name}"

    @property
    def build(self) -> str:
        """The command that makes what a start only loads."""
        return f"pitstop build {self.path}" + f" --model {self.app.config.name}" * bool(self.neighbours)

    @property
    def one(self) -> Step | None:
        """The step of one row as configured."""
        return configured(self.steps, self.here)

    @property
    def many(self) -> Step | None:
        """The best batch as configured."""
        return fastest(batches(self.steps))

    @property
    def best(self) -> Step | None:
        """The config at its best, one row or many."""
        return fastest([self.one, self.many])

    @property
    def default(self) -> Step | None:
        """The default at its best, if the config has chosen a backend."""
        return fastest([self.step(DEFAULT_ONE), self.step(DEFAULT_BATCH)])

    @property
    def forgone(self) -> dict[str, str]:
        """The YAML lines of the default, if the config gives it up."""
        return forgone(self.app.config, self.one.how if self.one else "")

    @property
    def rows(self) -> int:
        """The most rows that a forward gets in service."""
        return min(self.app.config.max_batch_size, self.app.tunables.max_batch_size or self.app.config.max_batch_size)

    def step(self, key: str) -> Step | None:
        return find(self.steps, key)

    def args(self, *keys: str) -> Keys:
        return (*self.keys, "args", *keys)

    def deployed(self, *keys: str) -> Keys:
        return (*(deployment_keys(self.raw, self.keys) or (*self.keys, "deployments", 0)), *keys)


def same_model(one: ModelApp, other: ModelApp) -> bool:
    """Whether two applications serve one model, perhaps on different devices."""
    return all(getattr(one.config, key) == getattr(other.config, key) for key in ("source", "preprocess", "handler"))
