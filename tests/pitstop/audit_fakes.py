"""Measurements made up for tests: what an audit concludes must not hang on the machine that runs it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from configs.backends import AUTO, backend_of
from configs.loader import ModelApp, load
from configs.problems import Keys
from configs.schema import ModelConfig
from pitstop.audit.audit_result import AuditResult, Budget, Choice, ExamineModel
from pitstop.audit.case import Case
from pitstop.audit.step import DEFAULT_BATCH, DEFAULT_ONE, ForwardSetting, Kind, Step, StepSpec, setting_of
from pitstop.audit.timing import Timing
from pitstop.plan.place import app_keys

PROJECT = Path(__file__).resolve().parents[2]
MISTAKES = Path(__file__).resolve().parent / "mistakes"


def timing(ms: float, noise: float = 0.02) -> Timing:
    return Timing(100, ms * (1 - noise), ms, ms * (1 + noise), ms * (1 + 2 * noise))


def step(key: str, ms: float, kind: Kind = "path", rows: int = 1, **keys: Any) -> Step:
    spec = StepSpec(key, keys.pop("label", key), kind, rows, keys.pop("setting", None))
    return Step(spec, timing(ms, keys.pop("noise", 0.02)), 1.0, **{"deviation": 0.0, **keys})


def steps(here: ForwardSetting, ms: Mapping[str, float] | None = None) -> tuple[Step, ...]:
    """Return a whole waterfall of the setting; `ms` overrides single steps, by key or number of rows."""
    given: dict[str, float] = {
        "train": 4,
        "eval": 3,
        "inference_mode": 2,
        "torchscript": 1,
        "bf16": 1,
        "32": 4,
        "64": 6,
        "default": 1,
        "default-64": 3,
    }
    given |= dict(ms or {})
    script = ForwardSetting("torchscript", "fp32", here.memory_format)
    half = ForwardSetting("torchscript", "bf16", here.memory_format)
    plain = ForwardSetting("eager", "fp32", "contiguous")
    found = [
        step("train", given["train"], "mistake", deviation=0.9),
        step("eval", given["eval"], "mistake"),
        step("inference_mode", given["inference_mode"], setting=plain, how="eager"),
        step(script.key, given["torchscript"], "path" if script == here else "option", setting=script, how="script"),
        step(half.key, given["bf16"], "path" if half == here else "option", setting=half, how="script"),
    ]
    found += [step(f"batch-{rows}", given[str(rows)], "batch", rows, setting=here) for rows in (32, 64)]
    if not backend_of(here.backend).artefact:
        found.append(step(DEFAULT_ONE, given["default"], "option", how="script"))
        found.append(step(DEFAULT_BATCH, given["default-64"], "option", 64, how="script"))
    return tuple(found)


def choice_of(config: ModelConfig, backend: str = "torchscript") -> Choice | None:
    """Return what stands in for a start's choice; None where the config leaves it none."""
    setting = setting_of(config)
    return Choice(replace(setting, backend=backend)) if AUTO in (config.backend, config.precision) else None


def here_of(config: ModelConfig) -> ForwardSetting:
    choice = choice_of(config)
    return choice.setting if choice else setting_of(config)


def examined_as(ms: Mapping[str, float] | None = None, device: str = "cpu") -> ExamineModel:
    """Return what stands in for loading and timing a model."""

    def seen(app: ModelApp, _: Keys, __: Budget) -> Iterator[AuditResult]:
        yield AuditResult(device, (), steps(here_of(app.config), ms), choice=choice_of(app.config))

    return seen


def case(path: Path, name: str | None = None, **keys: Any) -> Case:
    """Return a model of a file, as judged with made-up steps; `keys` are those of Case."""
    deployment = load(path)
    app, at = next(
        (app, at)
        for app, at in zip(deployment.models, app_keys(deployment), strict=True)
        if name in (None, app.config.name)
    )
    others = tuple(other for other in deployment.models if other is not app)
    given: dict[str, Any] = {"device": "cpu", "fallback": None, "cores": 64, "steps": steps(here_of(app.config))}
    given["choice"] = choice_of(app.config)
    return Case(app, at, deployment.raw, others, **{**given, **keys})


def edited(folder: Path, source: Path, *edits: tuple[str, str]) -> Path:
    """Write a copy of a config with parts replaced."""
    text = source.read_text(encoding="utf-8")
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    path = folder / "edited.yaml"
    path.write_text(text, encoding="utf-8")
    return path
