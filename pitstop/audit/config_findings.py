"""Findings from the config alone; the measured steps only say what each costs. Pure.

Rules that `pitstop check` has too are taken from there; here they get their price.
"""

from collections.abc import Iterator
from itertools import pairwise

from configs.lint.applications import application_rules
from configs.problems import Problem
from models.runtime.padding import powers_of_two, round_up

from ..replicas import replica_bounds
from ..report.numbers import number, plural
from .case import Case, same_model
from .finding import Finding
from .formatting import ms
from .step import NEW

# Powers of two pad at most to the double; beyond that, most of a batch can be padding.
_WIDEST_GAP = 2


def config_findings(case: Case) -> Iterator[Finding]:
    """Yield the findings that need no forward."""
    for part in (_ruled, _gaps, _odd_limit, _threads, _pickle, _fleet, _unmeasured, _fallback, _waived):
        yield from part(case)


def _ruled(case: Case) -> Iterator[Finding]:
    rest = []
    for problem in application_rules(case.raw):
        if problem.keys[:2] != case.keys:
            continue
        if problem.keys[-1] == "max_ongoing_requests":
            yield _starved(case, problem)
        elif problem.keys[-2:] == ("user_config", "max_batch_size"):
            yield Finding("mistake", problem.what, problem.keys, problem.help, _padding_cost(case), 2)
        else:
            rest.append(problem)
    if rest:
        what = f"breaks {plural(len(rest), 'other rule')}: {rest[0].what}"
        yield Finding("warning", what, rest[0].keys, "pitstop check lists them all")


def _starved(case: Case, problem: Problem) -> Finding:
    """Mistake 5 in another form: Serve admits fewer requests than fill a batch."""
    given = case.app.replicas.get("max_ongoing_requests")
    ongoing = given if isinstance(given, int) else 5
    held, full = _rate(case, ongoing), case.many and case.many.items_s
    cost = ""
    if held and full and case.many:
        cost = f"at most {number(held)} items/s, where batches of {case.many.spec.rows} give {number(full)}"
    return Finding("mistake", problem.what, problem.keys, "max_ongoing_requests: 1024", cost, 5)


def _rate(case: Case, held: int) -> float | None:
    """Return items a second of batches that hold so many rows, padded to the next measured size."""
    measured = {step.spec.rows: step for step in case.steps if step.spec.key.startswith("batch-") and step.timing}
    if case.one is not None:
        measured[1] = case.one
    step = measured.get(round_up(held, tuple(sorted(measured)) or (1,)))
    return held * 1000 / step.timing.p50_ms if step and step.timing else None


def _padding_cost(case: Case) -> str:
    new = case.step(NEW)
    return f"each size that was never warmed runs at {number(new.items_s)} items/s" if new and new.items_s else ""


def _gaps(case: Case) -> Iterator[Finding]:
    sizes = case.app.config.batch_sizes
    if sizes is None or case.app.config.whole:
        return
    wide = [(low, high) for low, high in pairwise((0, *sizes)) if high > _WIDEST_GAP * max(1, low) and high - low > 1]
    if not wide:
        return
    low, high = wide[0]
    what = f"has nothing between {low} and {high}: {plural(low + 1, 'row')} would be padded to {high}"
    one, padded = case.one, case.step(f"batch-{high}")
    cost = f"{ms(padded)} for {high} rows, {ms(one)} for one" if one and padded else ""
    best = [*sizes, *powers_of_two(case.app.config.max_batch_size)]
    fix = f"batch_sizes: {sorted(set(best))}, or leave it out: powers of two are the default"
    yield Finding("warning", what, case.args("batch_sizes"), fix, cost)


def _odd_limit(case: Case) -> Iterator[Finding]:
    limit = case.app.tunables.max_batch_size
    sizes = case.app.config.batch_sizes or powers_of_two(case.app.config.max_batch_size)
    if limit is None or limit in sizes or limit > sizes[-1] or case.app.config.whole:
        return
    padded = round_up(limit, sizes)
    lower = max((size for size in sizes if size < limit), default=padded)
    what = f"is {limit}, which is no warmed size: every full batch is padded to {padded}"
    cost = f"{1 - limit / padded:.0%} of a full batch is padding"
    yield Finding("hint", what, case.deployed("user_config", "max_batch_size"), f"max_batch_size: {lower}", cost)


def _threads(case: Case) -> Iterator[Finding]:
    cpus, cores = case.app.config.num_cpus, case.cores
    one, fewer = case.one, case.step("threads")
    if case.device == "cpu" and cpus > cores:
        cost = f"{ms(one)} a forward; on {cores} threads {ms(fewer)}" if one and fewer else ""
        what = f"is {cpus:g}, and this machine has {cores} cores: threads would take turns, and Ray would wait for more"
        yield Finding("warning", what, case.args("num_cpus"), f"num_cpus: {cores}", cost)
        return
    # Autoscaled replicas may land on other nodes; a fixed number is meant for what is here.
    _, replicas = replica_bounds(case.app.replicas)
    fixed = "autoscaling_config" not in case.app.replicas and case.raw.get("proxy_location") != "EveryNode"
    if case.device == "cpu" and fixed and replicas > 1 and replicas * cpus > cores:
        what = f"{replicas} replicas of {cpus:g} CPUs want {replicas * cpus:g} cores, and this machine has {cores}"
        fits = max(1, int(cores // cpus))
        yield Finding("warning", what, case.deployed("num_replicas"), f"num_replicas: {fits}")


def _pickle(case: Case) -> Iterator[Finding]:
    weights = case.app.config.source.weights
    if weights is not None and not weights.endswith(".safetensors"):
        what = f"{weights} is a pickle; only plain tensors are taken from it, but whoever loads it elsewhere runs it"
        fix = f"weights: {weights.rpartition('.')[0] or weights}.safetensors"
        yield Finding("hint", what, case.args("source", "weights"), fix)


def _fleet(case: Case) -> Iterator[Finding]:
    """Mistake 4: many CPUs, which were never compared with anything."""
    _, replicas = replica_bounds(case.app.replicas)
    others = [app for app in case.neighbours if same_model(app, case.app) and app.config.device != "cpu"]
    if case.app.config.device != "cpu" or replicas < 2 or others:
        return
    what = f"up to {replicas} replicas on CPUs, and no GPU replica of this model to compare them with"
    cost = (
        f"one replica gives {number(case.many.items_s or 0)} items/s here; a GPU was never asked" if case.many else ""
    )
    scaling = "autoscaling_config" in case.app.replicas
    keys = case.deployed("autoscaling_config", "max_replicas") if scaling else case.deployed("num_replicas")
    name = case.app.config.name
    fix = f"device: auto, in a second application {name}-gpu with the same args; then pitstop compare"
    yield Finding("mistake", what, keys, fix, cost, 4)


def _unmeasured(case: Case) -> Iterator[Finding]:
    others = [app for app in case.neighbours if same_model(app, case.app) and app.config.device == "cpu"]
    if case.app.config.device == "cpu" or others:
        return
    what = "has no CPU replica of the same model to compare with: whether the GPU earns its price stays unknown"
    name = case.app.config.name
    yield Finding("hint", what, case.args("device"), f"device: cpu, in a second application {name}-cpu", mistake=4)


def _fallback(case: Case) -> Iterator[Finding]:
    if case.fallback is not None:
        fix = "device: cuda where it must be a GPU, or device: cpu where it need not be"
        yield Finding("warning", case.fallback, case.args("device"), fix, mistake=4)


def _waived(case: Case) -> Iterator[Finding]:
    """Say which checks the config waives, since nothing here can show that they would pass."""
    config = case.app.config
    if config.random:
        what = "is waived by random: what padding and other rows do to an answer, and here what each step answers"
        yield Finding("hint", what, case.args("random"), "random: false, if no answer is meant to be random", mistake=1)
    if config.whole:
        what = "is waived by batch: what rows of the same request do to each other's answers"
        fix = "batch: shared, if rows of one request do not belong together"
        yield Finding("hint", what, case.args("batch"), fix, mistake=1)
