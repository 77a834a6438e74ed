"""Each network is served as it is and answers as eager does, or is refused with the way out."""

from dataclasses import replace

import pytest

from .cases import CASES, CONFIGS, NETWORKS, Case
from .harness import outcome_of


@pytest.mark.parametrize("case", [pytest.param(each, id=each.name) for each in CASES])
def test_a_network_is_served_as_it_is_or_refused_with_the_way_out(case: Case) -> None:
    found = outcome_of(case)
    assert bool(found.refused) == bool(case.refused), found.refused or "it is served"
    assert case.refused in found.refused


def test_a_wrong_answer_is_found() -> None:
    case = next(each for each in CASES if each.name == "torchscript-scripted")
    with pytest.raises(AssertionError, match="deviates"):
        outcome_of(replace(case, eager=f"{NETWORKS}.tabular:Regression"))


def test_every_config_has_a_case_and_is_short() -> None:
    assert sorted(path.stem for path in CONFIGS.glob("*.yaml")) == sorted(each.name for each in CASES)
    assert [each.name for each in CASES if len(each.path.read_text(encoding="utf-8").splitlines()) > 12] == []
