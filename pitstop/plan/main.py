"""`pitstop plan`: which settings meet a latency target at the least cost, on forward times measured here.

The proposal is a change of the user's own file, shown as a diff; --write makes it, --verify serves it and measures.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.status import Status

from configs.loader import ConfigError

from ..complete import load_completed
from ..load.errors import LoadError
from ..report.terminal import plain_console
from ..yaml_edit.patch import PatchError
from ..yaml_edit.propose import propose
from . import choose, report, sources
from .choose import Bounds, LatencyTarget, Option
from .place import Place, find_model, plan_changes, scales_itself
from .profile import Profile, ProfileError
from .serving import ServingError
from .simulate import ReplicaSetting

DONE, IMPOSSIBLE, UNUSABLE, STOPPED = 0, 1, 2, 130


class PlanError(Exception):
    """A wish that cannot be granted; says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What the user asked for. Prices are of one GPU and of one CPU core, in usd an hour."""

    path: Path
    target: LatencyTarget
    name: str | None = None
    price_gpu: float | None = None
    price_cpu: float | None = None
    profiles: tuple[str, ...] = ()
    length: int | None = None
    budget_s: float = 10.0
    low_rps: float | None = None
    peak_rps: float | None = None
    autoscale: bool = False
    write: bool = False
    verify: bool = False
    url: str | None = None
    seconds: float = 15.0
    save_profile: Path | None = None


def plan(options: PlanOptions, console: Console | None = None) -> int:
    """Plan one model, show the plan, and return the exit status."""
    console = console or plain_console()
    try:
        _check(options)
        return _plan(options, console)
    except (ConfigError, LoadError, PlanError, ProfileError, ServingError, PatchError) as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        return UNUSABLE
    except KeyboardInterrupt:
        console.print("stopped by Ctrl-C", style="yellow")
        return STOPPED


def _plan(options: PlanOptions, console: Console) -> int:
    place = find_model(load_completed(options.path), options.name)
    config = place.app.config
    if config.whole and options.target.rows > config.max_batch_size:
        raise PlanError(
            f"--rows is {options.target.rows}, and this model takes at most {config.max_batch_size} rows in a request\n"
            "help: raise max_batch_size in args"
        )
    profiles = _profiles(options, place, console)
    with _status("simulating"):
        found = [option for each in profiles for option in _options(options, place, each)]
        chosen = choose.pick(found)
        bounds = _bounds(options, chosen) if chosen else None
    if chosen is None or bounds is None:
        console.print(_impossible(options, profiles), style="red", soft_wrap=True, markup=False)
        return IMPOSSIBLE
    report.show_options(_shown(options, place, found, chosen), chosen, options.target, console)
    autoscale = options.autoscale or scales_itself(place)
    report.show_choice(chosen, bounds, options.target, autoscale, console)
    changes = plan_changes(place, chosen, bounds, autoscale)
    patched = propose(options.path, changes, options.write, console)
    if not options.verify:
        return DONE
    # torch takes seconds to import, and a plan from a file does without it.
    from .verification_run import Stage, rehearse

    stage = Stage(place, chosen, options.target, patched, options.url, options.seconds)
    return DONE if rehearse(stage, console) else STOPPED


def _check(options: PlanOptions) -> None:
    target = options.target
    numbers = {
        "--rate": target.rate_rps,
        "--slo-ms": target.slo_ms,
        "--rows": target.rows,
        "--seconds": options.seconds,
    }
    optional = {"--low-rate": options.low_rps, "--peak-rate": options.peak_rps, "--length": options.length}
    numbers |= {"--budget-s": options.budget_s} | {key: value for key, value in optional.items() if value is not None}
    for name, value in numbers.items():
        if value <= 0:
            raise PlanError(f"{name} is {value:g}\nhelp: it must be above 0")
    if min(options.price_gpu or 0, options.price_cpu or 0) < 0:
        raise PlanError("a price is below 0\nhelp: give usd an hour")
    if options.url and not options.verify:
        raise PlanError("--url is where to verify\nhelp: add --verify; to read forward times from there use --profile")


def _profiles(options: PlanOptions, place: Place, console: Console) -> list[Profile]:
    config, found = place.app.config, []
    with _status("starting") as line:
        both = options.price_gpu is not None and options.price_cpu is not None
        for profile in (
            sources.given(options.profiles, config, options.length)
            if options.profiles
            else sources.measured(config, both, options.budget_s, options.length, line.update)
        ):
            report.show_profile(profile, console)
            found.append(replace(profile, whole=config.whole))
    if options.save_profile is not None:
        sources.save(found, options.save_profile)
    return found


def _options(options: PlanOptions, place: Place, profile: Profile) -> list[Option]:
    return choose.options(
        profile, options.target, _replica_usd(options, place, profile), place.app.config.max_batch_size
    )


def _replica_usd(options: PlanOptions, place: Place, profile: Profile) -> float | None:
    config = place.app.config
    price, count = (
        (options.price_gpu, config.num_gpus) if profile.device == "cuda" else (options.price_cpu, config.num_cpus)
    )
    return None if price is None else price * count


def _bounds(options: PlanOptions, chosen: Option) -> Bounds:
    rate = options.target.rate_rps
    return choose.bounds(chosen, options.target, options.low_rps or rate / 5, options.peak_rps or 2 * rate)


def _shown(options: PlanOptions, place: Place, found: list[Option], chosen: Option) -> list[Option]:
    """Return each batch size at its best, and the chosen one with its waits and with a replica fewer and more."""
    groups: dict[tuple[str, int], list[Option]] = {}
    for option in found:
        groups.setdefault((option.profile.device, option.setting.max_batch_size), []).append(option)
    shown = []
    for each_group in groups.values():
        if chosen in each_group:
            usd = _replica_usd(options, place, chosen.profile)
            fewer_and_more = choose.neighbours(chosen, options.target, usd)
            shown += sorted(
                [*each_group, *fewer_and_more], key=lambda each: (each.setting.wait_ms, each.setting.replicas)
            )
        else:
            shown.append(choose.pick(each_group) or each_group[0])
    return shown


def _impossible(options: PlanOptions, profiles: list[Profile]) -> str:
    alone = {
        each.device: choose.floor_ms(each.costs, options.target, ReplicaSetting(max(each.forward_ms)))
        for each in profiles
    }
    device = min(alone, key=lambda each: alone[each])
    what = f"a request that meets no other takes {alone[device]:.3g} ms (p99) on {device}"
    if alone[device] <= options.target.aim_ms:
        what = f"{choose.MOST_REPLICAS} replicas would not be enough"
    help_ = "try `pitstop tune` for a faster forward, a GPU, or a higher --slo-ms"
    return f"no setting keeps p99 within {options.target.slo_ms:g} ms: {what}\nhelp: {help_}"


def _status(text: str) -> Status:
    return plain_console(stderr=True).status(text)
