"""Which commands make the reports of a model: those of docs/measuring.md, one server for the two that need one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# Where `serve run` of the config would listen; the reports show it in place of the port that was free.
PORT = 8000
# A machine like those that have two cores: one for the replica, one for what surrounds it.
_PRICES = ("--gpu-price-only", "--gpu-instance", "g6.xlarge", "--cpu-instance", "c6in.xlarge")


@dataclass(frozen=True, slots=True)
class Subject:
    """One model, and what a user might ask of it. `gpu_model` is its twin on a GPU, or itself."""

    name: str
    config: str
    model: str
    gpu_model: str
    rate_rps: float
    slo_ms: float
    # A probe of the capacity search takes longer by itself where two hundred answers do.
    probe_s: float = 3.0


@dataclass(frozen=True, slots=True)
class ReportStep:
    """A command. `words` follow `pitstop`; `served` asks for the model's server at PORT."""

    name: str
    words: tuple[str, ...]
    served: bool = False
    # `audit` ends with 1 where a mistake is made, `plan` where no setting meets the target: findings, not failures.
    fine: tuple[int, ...] = (0,)


SUBJECTS = (
    Subject("digits", "serve_config.yaml", "digits-cpu", "digits", 500, 50, probe_s=2),
    # One core takes 110 to 150 ms for one picture: a target below some forwards leaves nothing to sustain.
    Subject("resnet50", "configs/resnet50.yaml", "resnet50-cpu", "resnet50", 4, 1000),
    Subject("minilm", "configs/minilm.yaml", "minilm-cpu", "minilm", 50, 100),
)


def steps(subject: Subject, folder: Path, quick: bool) -> Sequence[ReportStep]:
    """Return what to run for a model with its files in `folder`; a plan changes plan.yaml there, the config's copy."""
    short = ("--seconds", "1") if quick else ("--seconds", "10")
    where = f"http://127.0.0.1:{PORT}/v2/models/{subject.model}"
    audit = ("audit", subject.config, "--model", subject.model, "--report", str(folder / "audit"))
    load = ("load", where, "--rate", f"{subject.rate_rps:g}", *short, "--json", str(folder / "load.json"))
    probe = ("--seconds", "0.5" if quick else f"{subject.probe_s:g}")
    compare = ("compare", subject.gpu_model, subject.model, "--slo-ms", f"{subject.slo_ms:g}", *_PRICES, *probe)
    wanted = ("--rate", f"{subject.rate_rps:g}", "--slo-ms", f"{subject.slo_ms:g}", "--write", "--verify")
    budget = ("--budget-s", "2", "--seconds", "2") if quick else ("--seconds", "10")
    plan = ("plan", str(folder / "plan.yaml"), "--model", subject.model, *wanted, *budget)
    return (
        ReportStep("audit", (*audit, "--quick") if quick else audit, fine=(0, 1)),
        ReportStep("load", load, served=True),
        ReportStep("compare", (*compare, "--report", str(folder / "compare")), served=True),
        ReportStep("plan", (*plan, "--save-profile", str(folder / "profile.json")), fine=(0, 1)),
    )
