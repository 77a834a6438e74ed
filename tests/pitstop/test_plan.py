"""Choosing: pure arithmetic over profiles that are given."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pitstop.plan import choose
from pitstop.plan.choose import LatencyTarget, Option
from pitstop.plan.profile import Profile, ProfileError, parse, quantiles, read
from pitstop.plan.simulate import ReplicaSetting

SLOW = Profile("m", "cpu", {1: (10.0,), 2: (12.0,), 4: (16.0,), 8: (24.0,)}, "given", overhead_ms=0.5)
FAST = Profile("m", "cuda", {1: (2.0,), 2: (2.0,), 4: (2.1,), 8: (2.4,)}, "given", overhead_ms=0.5)


@pytest.fixture(autouse=True)
def short_simulations(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of the arrivals: choices stay what they are, and only their last digits need more."""
    monkeypatch.setattr(choose, "_SEARCH_ARRIVALS", 2_000)
    monkeypatch.setattr(choose, "_FINAL_ARRIVALS", 4_000)


def chosen(profile: Profile, rate: float, slo_ms: float, most_rows: int = 8) -> Option | None:
    return choose.pick(choose.options(profile, LatencyTarget(rate, slo_ms), None, most_rows))


def test_batching_saves_replicas_that_one_by_one_would_need() -> None:
    batched, single = chosen(SLOW, 200, 80), chosen(SLOW, 200, 80, most_rows=1)
    assert batched is not None
    assert single is not None
    assert (batched.setting.replicas, batched.setting.max_batch_size, batched.setting.wait_ms) == (1, 8, 0)
    assert single.setting.replicas >= 3


def test_what_is_chosen_keeps_a_margin_and_one_replica_fewer_would_not() -> None:
    target, option = LatencyTarget(900, 50), chosen(SLOW, 900, 50)
    assert option is not None
    assert option.p99_ms <= 50 / choose.MARGIN
    fewer = next(choose.neighbours(option, target, None))
    assert fewer.setting.replicas == option.setting.replicas - 1
    assert not fewer.meets


def test_a_target_below_the_forward_itself_has_no_plan() -> None:
    assert choose.options(SLOW, LatencyTarget(1, 10), None, 8) == []
    assert choose.floor_ms(SLOW.costs, LatencyTarget(1, 10), ReplicaSetting(8)) == pytest.approx(
        10.5 + SLOW.loop_ms + SLOW.turn_ms
    )


def test_a_request_of_many_rows_is_planned_for_as_such() -> None:
    option = choose.pick(choose.options(SLOW, LatencyTarget(20, 100, rows=8), None, 8))
    assert option is not None
    assert option.p50_ms > 24


def test_requests_whose_rows_belong_together_keep_the_limit_and_wait_for_none() -> None:
    whole = replace(SLOW, whole=True)
    found = choose.options(whole, LatencyTarget(100, 200, rows=2), None, 8)
    assert {(each.setting.max_batch_size, each.setting.wait_ms) for each in found} == {(8, 0)}
    # A forward of two rows takes 12 ms, and 0.2 ms lie between two.
    assert choose.capacity_rps(whole.costs, 2, ReplicaSetting(8)) == pytest.approx(1000 / 12.2)
    shared = choose.pick(choose.options(SLOW, LatencyTarget(100, 200, rows=2), None, 8))
    assert shared is not None
    assert shared.setting.replicas < found[0].setting.replicas


def test_the_cheaper_device_wins_where_both_have_prices() -> None:
    target = LatencyTarget(300, 60)
    both = [*choose.options(SLOW, target, 0.05, 8), *choose.options(FAST, target, 4.0, 8)]
    cheap = choose.pick(both)
    assert cheap is not None
    assert cheap.profile.device == "cpu"
    assert cheap.usd_per_hour == pytest.approx(0.05 * cheap.setting.replicas)
    dear = [*choose.options(SLOW, target, 5.0, 8), *choose.options(FAST, target, 4.0, 8)]
    found = choose.pick(dear)
    assert found is not None
    assert found.profile.device == "cuda"


def test_without_a_price_for_both_the_fewest_replicas_win() -> None:
    target = LatencyTarget(600, 60)
    found = choose.pick([*choose.options(SLOW, target, 0.05, 8), *choose.options(FAST, target, None, 8)])
    assert found is not None
    assert found.profile.device == "cuda"


def test_a_wait_is_taken_only_where_it_saves_a_replica() -> None:
    for rate in (50, 200, 600):
        option = chosen(SLOW, rate, 60)
        assert option is not None
        assert option.setting.wait_ms == 0


def test_bounds_hold_the_plan_between_a_quiet_hour_and_the_peak() -> None:
    target, option = LatencyTarget(900, 50), chosen(SLOW, 900, 50)
    assert option is not None
    bounds = choose.bounds(option, target, low_rps=50, peak_rps=2000)
    assert bounds.least == 1
    assert bounds.least <= option.setting.replicas < bounds.most
    assert bounds.most_rps >= 900
    # At the planned rate the autoscaler must not ask for more replicas than the plan has.
    assert bounds.target_ongoing >= option.ongoing


def test_a_busy_event_loop_bounds_what_a_tiny_model_can_do() -> None:
    tiny = Profile("m", "cpu", {1: (0.01,), 8: (0.01,)}, "given", loop_ms=0.1, turn_ms=0.1)
    assert choose.capacity_rps(tiny.costs, 1, ReplicaSetting(8, replicas=2)) == 20_000


def test_a_profile_is_read_as_it_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(SLOW.as_json()))
    found = read(path)
    assert (found.model, found.device, found.overhead_ms) == ("m", "cpu", 0.5)
    assert found.forward_ms == SLOW.forward_ms
    assert found.spread is False


def test_metadata_is_a_profile_too_at_the_length_that_is_asked_for() -> None:
    times = {"1x16": 1, "1x64": 2, "1x128": 3, "2x64": 4}
    metadata = {"name": "m", "properties": {"device": "cuda", "forward_ms": times}}
    found = parse(metadata, "url")
    assert (found.device, found.sizes, found.forward_ms) == ("cuda", (64,), {1: (2.0,), 2: (4.0,)})
    assert parse(metadata, "url", length=100).forward_ms == {1: (3.0,)}
    assert parse(metadata, "url", length=999).sizes == (128,)


@pytest.mark.parametrize(
    "raw, what",
    [
        ([], "holds no JSON object"),
        ({}, "has no forward_ms"),
        ({"properties": None}, "has no forward_ms"),
        ({"forward_ms": {"a": 1}}, "must map batch sizes to times"),
        ({"forward_ms": {"1": "x"}}, "must map batch sizes to times"),
        ({"forward_ms": {"1": [0]}}, "must map batch sizes to times"),
        ({"forward_ms": {"1": []}}, "must map batch sizes to times"),
    ],
)
def test_what_is_no_profile_is_refused_with_a_way_out(raw: Any, what: str) -> None:
    with pytest.raises(ProfileError, match=rf"(?s)x\.json: .*{what}.*\nhelp: "):
        parse(raw, "x.json")


def test_many_times_are_kept_as_few_that_say_the_same() -> None:
    times = [float(ms) for ms in range(10_000)]
    kept = quantiles(times)
    assert len(kept) == 200
    assert kept[99] == pytest.approx(4975, abs=30)
    # One slow forward in ten thousand must not become one in two hundred.
    assert max(quantiles([*times, 1e9])) < 10_000
