"""The arithmetic of an audit: timing, percentiles, plans, words, and the merging of runs."""

from dataclasses import replace

import pytest

from benchmarks.repeated_audit import merged
from pitstop.audit.formatting import busy
from pitstop.audit.picture import drawn
from pitstop.audit.plan import single_rows, thin
from pitstop.audit.plot import Panel, lines, png, waterfalls
from pitstop.audit.run import highest
from pitstop.audit.side_steps import unseen
from pitstop.audit.step import ForwardSetting, Group, Step, StepSpec, grouped
from pitstop.audit.timing import LEAST_RUNS, clearly_faster, measure, summarise
from tests.open_sizes import dims_of
from tests.pitstop.audit_fakes import step, steps, timing

SCRIPT = ForwardSetting("torchscript", "fp32", "channels_last")


class Clock:
    """A clock that only the work moves."""

    def __init__(self, seconds: float) -> None:
        self.now = 0.0
        self.seconds = seconds

    def __call__(self) -> float:
        return self.now

    def work(self) -> None:
        self.now += self.seconds


@pytest.mark.parametrize(
    "seconds, budget_s, runs",
    [
        (0.01, 1.0, 100),
        (0.1, 1.0, LEAST_RUNS),  # 10 fit into the budget, and 20 are worth twice its time.
        (1.0, 1.0, 5),  # 20 would take 20 budgets; five is as long as it waits.
    ],
)
def test_a_step_runs_for_its_budget_and_longer_only_for_twenty_runs(seconds: float, budget_s: float, runs: int) -> None:
    clock = Clock(seconds)
    found = measure(clock.work, budget_s, clock, lambda: clock.now / 2)
    assert found.runs == pytest.approx(runs, abs=1)
    assert found.p50_ms == pytest.approx(1000 * seconds)
    assert found.share == pytest.approx(0.5)


def test_one_run_is_every_percentile() -> None:
    assert summarise([7.0]).p99_ms == 7.0


@pytest.mark.parametrize(
    "slow, fast, noise, expected",
    [(1.2, 1.0, 0.02, True), (1.05, 1.0, 0.02, False), (1.2, 1.0, 0.2, False), (1.0, 1.2, 0.02, False)],
)
def test_a_difference_counts_only_beyond_the_noise(slow: float, fast: float, noise: float, expected: bool) -> None:
    assert clearly_faster(timing(slow, noise), timing(fast, noise), 1.1) is expected


def test_what_others_spoilt_is_not_judged_but_short_forwards_are_not_spoilt() -> None:
    slow, fast = replace(timing(200), share=0.4), timing(100)
    assert slow.disturbed
    assert not clearly_faster(slow, fast, 1.1)
    assert not replace(timing(0.2), share=0.4).disturbed
    assert busy([Step(StepSpec("train", "train", "mistake"), slow)]).startswith(
        "busy machine: 1 step had as little as 40%"
    )


def test_rows_share_a_forward() -> None:
    assert clearly_faster(timing(1), timing(2), 1.3, 1, 32)
    assert not clearly_faster(timing(1), timing(32), 1.3, 1, 32)


def test_memory_is_the_highest_of_what_is_held_at_once() -> None:
    assert highest([5, 3, -5, 4, -7]) == 8
    assert highest([]) == 0


def labels(here: ForwardSetting, images: bool, gpu: bool) -> list[str]:
    return [f"{spec.kind}: {spec.label}" for spec in single_rows(here, images, gpu, fixed=True)]


def test_the_way_to_a_torchscript_config_on_a_cpu() -> None:
    assert labels(SCRIPT, images=True, gpu=False) == [
        "path: inference_mode",
        "path: channels_last",
        "path: TorchScript",
        "option: TorchScript, contiguous",
        "option: TorchScript, bf16",
        "option: AOTInductor",
        "option: AOTInductor, bf16",
        "option: torch.compile",
        "option: torch.compile, bf16",
    ]


def test_a_gpu_has_its_search_and_its_precisions() -> None:
    found = labels(SCRIPT, images=True, gpu=True)
    assert found.index("path: cuDNN search, one shape") < found.index("path: TorchScript")
    assert {"option: TorchScript, tf32", "option: TorchScript, fp16"} < set(found)


def test_no_search_is_tried_where_a_size_is_open() -> None:
    specs = single_rows(ForwardSetting("torchscript", "fp32", "contiguous"), images=False, gpu=True, fixed=False)
    assert "search" not in [spec.key for spec in specs]


@pytest.mark.parametrize("backend", ["eager", "torchscript", "compile"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("images", [True, False])
def test_the_configs_own_setting_is_measured_once_and_on_the_path(backend: str, precision: str, images: bool) -> None:
    here = ForwardSetting(backend, precision, "channels_last" if images else "contiguous")
    specs = single_rows(here, images, gpu=False, fixed=True)
    assert [spec.kind for spec in specs if spec.setting == here] == ["path"]
    assert len({spec.key for spec in specs}) == len({spec.setting for spec in specs}) == len(specs)


@pytest.mark.parametrize(
    "sizes, kept",
    [([2, 4, 8], [2, 4, 8]), ([2**n for n in range(1, 13)], [2, 8, 32, 128, 256, 1024, 4096])],
)
def test_many_batch_sizes_are_thinned_and_the_ends_kept(sizes: list[int], kept: list[int]) -> None:
    assert thin(sizes) == kept


def test_unseen_shapes_lie_between_the_warmed_ones() -> None:
    assert unseen((1, 2, 4, 8), ()) == [(3, ()), (5, ()), (6, ()), (7, ())]
    assert unseen((1, 2, 4), dims_of((16, 32, 64))) == [(1, (24,)), (1, (48,))]
    assert unseen((1, 2), ()) == []


def test_of_several_runs_the_middle_is_kept_with_its_spread() -> None:
    runs = [[step("train", ms), step("gone", ms)] for ms in (4.0, 2.0)] + [[step("train", 3.0)]]
    found = {each.spec.key: each for each in merged(runs)}
    assert found["train"].timing == timing(3.0)
    assert found["train"].spread == (250.0, 500.0)
    assert merged([[step("once", 1.0)], [], []]) == ()


def test_a_step_left_out_in_every_run_keeps_its_reason() -> None:
    left_out = Step(StepSpec("compile", "torch.compile", "option"), skipped="no compiler")
    assert merged([[left_out], [left_out]]) == (left_out,)


def test_a_step_that_most_runs_left_out_is_left_out_whatever_a_run_measured() -> None:
    left_out = Step(StepSpec("started", "started", "path"), skipped="no faster")
    assert merged([[left_out], [step("started", 2.0)], [left_out]]) == (left_out,)
    assert merged([[step("started", 2.0)], [left_out], [step("started", 4.0)]])[0].timing is not None


def test_the_way_to_the_config_is_shown_first_and_what_lies_beside_it_after() -> None:
    found = steps(ForwardSetting("torchscript", "fp32", "contiguous"))
    assert [(group.title, len(group.steps)) for group in grouped(found)] == [
        ("one row at a time", 4),
        ("in batches, as configured", 2),
        ("other settings", 1),
    ]


def test_every_measured_step_gets_a_bar_and_changing_shapes_only_where_they_cost() -> None:
    shapes = [step("shapes-padded", 1.0, "batch"), step("shapes-new", 1.05, "mistake")]
    left_out = Step(StepSpec("compile", "torch.compile", "option"), skipped="no compiler")
    assert [each.spec.key for each in drawn([step("train", 4), left_out, *shapes])] == ["train"]
    costly = [step("train", 4), shapes[0], step("shapes-new", 3, "mistake")]
    assert len(drawn(costly)) == 3
    bars = [line for line in lines(grouped(costly)) if line.step]
    assert [line.y for line in bars] == sorted(line.y for line in bars)


def test_a_picture_is_a_png_of_any_number_of_panels() -> None:
    groups = grouped(steps(ForwardSetting("torchscript", "fp32", "contiguous")))
    panel = Panel("m on a machine", "why", groups, groups[1].steps[0])
    assert png([panel, panel]).startswith(b"\x89PNG")


@pytest.mark.parametrize("spread", [None, (900.0, 1100.0), (500.0, 3000.0)])
def test_every_label_ends_within_the_picture_however_wide_the_spread(spread: tuple[float, float] | None) -> None:
    longest = replace(step("one", 0.0001), spread=spread and (spread[0] * 1e4, spread[1] * 1e4))
    drawing = waterfalls([Panel("m", "why", [Group("", (step("train", 4), longest))], None)])
    drawing.draw_without_rendering()
    [axes] = drawing.axes
    names, figures = axes.get_yticklabels(), axes.texts
    assert (len(names), len(figures)) == (2, 4)  # A name for each bar, and a factor and a rate.
    for text in (*names, *figures):
        assert drawing.bbox.x0 <= text.get_window_extent().x0 < text.get_window_extent().x1 <= drawing.bbox.x1
