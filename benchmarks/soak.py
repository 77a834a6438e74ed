"""Mixed load and random faults for as long as one likes: python -m benchmarks.soak --minutes 60.

Writes soak_<hardware>_<yyyymm>.{json,md,png}, to benchmarks/results where it lasted an hour, else to the cache. Ctrl-C
ends it with what was measured so far.
"""

import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pitstop.measure.results import head, stem, write

from . import cache, script
from .reliability.load import Load
from .reliability.server_under_test import PITSTOP, ServerUnderTest
from .reliability.standing import standing
from .soaking import formatting, harm, picture
from .soaking.streams import SERVED, streaming, totals
from .soaking.watch import Look, Watch, drift

_WHOLE_MINUTES = 60.0
_LOOK_EVERY_S = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = script.parser("benchmarks.soak", __doc__, out=None)
    parser.add_argument("--minutes", type=float, default=_WHOLE_MINUTES, help="how long")
    parser.add_argument("--seed", type=int, default=1, help="another one does other harm")
    options = parser.parse_args(given)
    results = script.RESULTS if options.minutes >= _WHOLE_MINUTES else cache.root() / "results"
    # Asked to stop, it ends as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    record = {**head(["python", "-m", "benchmarks.soak", *given]), "seed": options.seed}
    with standing(PITSTOP, SERVED) as tested:
        record |= _soak(tested, options.minutes * 60, options.seed)
    _write(record, options.out or results)
    print(formatting.verdict(record))
    return 130 if record["stopped"] else 0


def _soak(tested: ServerUnderTest, seconds: float, seed: int) -> dict[str, Any]:
    """Put the load on and do harm until time is over or Ctrl-C comes; return what was seen until then."""
    looks: list[Look] = []
    events: list[dict[str, Any]] = []
    stopped = False
    with streaming(tested, seed) as loads:
        try:
            _go_on(tested, loads, seconds, seed, looks, events)
        except KeyboardInterrupt:
            stopped = True
            print("stopped; what was measured so far is written", file=sys.stderr)
    return {
        "minutes": next(iter(loads.values())).drive.elapsed_s / 60,
        "stopped": stopped,
        "streams": totals(loads),
        "events": events,
        "drift": drift(looks),
        "looks": [asdict(look) for look in looks],
    }


def _go_on(
    tested: ServerUnderTest,
    loads: Mapping[str, Load],
    seconds: float,
    seed: int,
    looks: list[Look],
    events: list[dict[str, Any]],
) -> None:
    first = next(iter(loads.values()))
    over = threading.Event()
    watch = Watch(tested, first)
    watching = threading.Thread(target=_every, args=(over, lambda: looks.append(watch.look())), daemon=True)
    watching.start()
    ends = time.monotonic() + seconds
    try:
        for each in harm.plan(seed):
            if time.monotonic() + each.pause_s > ends:
                time.sleep(max(0.0, ends - time.monotonic()))
                return
            time.sleep(each.pause_s)
            event: dict[str, Any] = {"kind": each.kind, "model": each.model, "at_s": first.drive.elapsed_s}
            event |= harm.do(each, tested)
            events.append(event)
            print(f"{event['at_s'] / 60:6.1f} min  {_told(event)}", file=sys.stderr, flush=True)
    finally:
        over.set()
        watching.join()


def _every(over: threading.Event, look: Callable[[], object]) -> None:
    while not over.wait(_LOOK_EVERY_S):
        # A process may end while it is looked at; the next look is soon.
        with suppress(Exception):
            look()


def _told(event: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in event.items() if key not in ("kind", "model", "at_s", "recovered_s")}
    after = "not recovered" if event["recovered_s"] is None else f"recovered after {event['recovered_s']:.1f} s"
    return f"{event['kind']}, {event['model']}: {after} {rest or ''}".rstrip()


def _write(record: Mapping[str, Any], folder: Path) -> None:
    name = stem("soak", record)
    looks = [Look(**look) for look in record["looks"]]
    title = f"{record['minutes']:.0f} minutes of mixed load and random faults"
    png = picture.png(title, formatting.verdict(record), looks, record["events"])
    write(folder, name, record, formatting.markdown(record, f"{name}.png"), png)
    print(f"written to {folder / name}.json, .md and .png", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
