"""How long a model's forward takes, by batch size and with its spread: what every prediction starts from.

Measured here, as the replica's warm-up does; read from a file that was saved before; or asked of a running
model, whose metadata has the fastest forward of each size and no spread.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..measure.percentiles import percentile
from .simulate import Costs

# A small request through HAProxy to a replica and back, at one connection, on a 2-core machine; --verify measures it.
OVERHEAD_MS = 0.4
# What parsing, queueing and answering one request keeps a replica's event loop busy (17,000 requests a second).
LOOP_MS = 0.06
# From one forward's end to the next one's begin, while requests wait: the median, on a 2-core machine.
TURN_MS = 0.2
# Times kept of each size: enough for a p99, few enough to read in a file.
_KEPT = 200


class ProfileError(Exception):
    """A profile that cannot be used; says what to do."""


@dataclass(frozen=True, slots=True)
class Profile:
    """`forward_ms` has, for each batch size, times in rising order, equally likely. `spread` is False where unknown.

    `whole`: the rows of a request belong together.
    """

    model: str
    device: str
    forward_ms: Mapping[int, tuple[float, ...]]
    source: str
    spread: bool = True
    overhead_ms: float = OVERHEAD_MS
    loop_ms: float = LOOP_MS
    turn_ms: float = TURN_MS
    sizes: tuple[int, ...] = ()
    whole: bool = False

    @property
    def costs(self) -> Costs:
        return Costs(self.forward_ms, self.loop_ms, self.overhead_ms, self.turn_ms, self.whole)

    def p50_ms(self, size: int) -> float:
        return percentile(self.forward_ms[size], 0.5)

    def scaled(self, factor: float) -> "Profile":
        """Return the profile with every forward `factor` times as long."""
        times = {size: tuple(factor * ms for ms in each) for size, each in self.forward_ms.items()}
        return replace(self, forward_ms=times)

    def as_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "device": self.device,
            "source": self.source,
            "sizes": list(self.sizes),
            "overhead_ms": self.overhead_ms,
            "loop_ms": self.loop_ms,
            "turn_ms": self.turn_ms,
            "forward_ms": {str(size): [round(ms, 4) for ms in each] for size, each in sorted(self.forward_ms.items())},
        }


def quantiles(times_ms: list[float]) -> tuple[float, ...]:
    """Return the times in rising order; of many, as many as say the same, each for an equal share of them."""
    ordered = sorted(times_ms)
    if len(ordered) <= _KEPT:
        return tuple(ordered)
    # The middle of each share: its end would make of the one slowest forward what every 200th takes.
    return tuple(percentile(ordered, (i + 0.5) / _KEPT) for i in range(_KEPT))


def sizes_at(several: Sequence[tuple[int, ...]], wanted: int | None) -> tuple[int, ...]:
    """Return of the sizes that were warmed the least that hold `wanted`, else the largest; the middle ones where none
    is.
    """
    each = [sorted(set(sizes)) for sizes in zip(*several, strict=True)]
    if wanted is None:
        return tuple(sizes[len(sizes) // 2] for sizes in each)
    return tuple(next((size for size in sizes if size >= wanted), sizes[-1]) for sizes in each)


def read(path: Path, length: int | None = None) -> Profile:
    """Return the profile in a file: one that --save-profile wrote, or a model's metadata."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path}: cannot be read ({error})\nhelp: --save-profile writes such a file") from error
    except json.JSONDecodeError as error:
        raise ProfileError(f"{path}: is no JSON ({error})\nhelp: --save-profile writes such a file") from error
    return parse(raw, str(path), length)


def parse(raw: Any, label: str, length: int | None = None) -> Profile:
    """Return the profile in a JSON value; `label` says in errors where it came from."""
    if not isinstance(raw, Mapping):
        raise ProfileError(f"{label}: holds no JSON object\nhelp: --save-profile writes such a file")
    inner = raw.get("properties") if "properties" in raw else raw
    times = inner.get("forward_ms") if isinstance(inner, Mapping) else None
    if not isinstance(inner, Mapping) or not isinstance(times, Mapping) or not times:
        raise ProfileError(f"{label}: has no forward_ms\nhelp: give a file of --save-profile, or a model's metadata")
    try:
        chosen, sizes = _sizes(times, length)
        known = {"overhead_ms": OVERHEAD_MS, "loop_ms": LOOP_MS, "turn_ms": TURN_MS}
        around = {key: float(inner.get(key, default)) for key, default in known.items()}
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        help_ = 'help: write {"forward_ms": {"1": [2.1, 2.2], "8": [9.5, 9.9]}, "device": "cpu"}'
        raise ProfileError(f"{label}: forward_ms must map batch sizes to times in ms ({error})\n{help_}") from error
    spread = all(len(each) > 1 for each in sizes.values())
    model, device = str(raw.get("model", raw.get("name", ""))), str(inner.get("device", "cpu"))
    times_around = around["overhead_ms"], around["loop_ms"], around["turn_ms"]
    return Profile(model, device, sizes, label, spread, *times_around, sizes=chosen or tuple(inner.get("sizes") or ()))


def _sizes(times: Mapping[str, Any], length: int | None) -> tuple[tuple[int, ...], dict[int, tuple[float, ...]]]:
    """Return the sizes chosen and the times at them. Keys are `8`, or `8x64` where a size besides the rows is open."""
    found: dict[tuple[int, ...], dict[int, tuple[float, ...]]] = {}
    for key, value in times.items():
        rows, *wide = str(key).split("x")
        each = [float(ms) for ms in (value if isinstance(value, list) else [value])]
        if int(rows) < 1 or not each or min(each) <= 0:
            raise ValueError(f"{key}: {value}")
        found.setdefault(tuple(map(int, wide)), {})[int(rows)] = quantiles(each)
    chosen = sizes_at(list(found), length)
    return chosen, dict(sorted(found[chosen].items()))
