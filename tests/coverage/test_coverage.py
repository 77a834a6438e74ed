"""Each network is served as it is and answers as eager does, or is refused with the way out."""

import pytest

from .cases import CASES, CONFIGS, Case
from .harness import outcome_of


@pytest.mark.parametrize("case", [pytest.param(each, id=each.name) for each in CASES])
def test_a_network_is_served_as_it_is_or_refused_with_the_way_out(case: Case) -> None:
    if case.pending:
        pytest.skip(case.pending)
    found = outcome_of(case)
    assert bool(found.refused) == bool(case.refused), found.refused or "it is served"
    assert case.refused in found.refused


def test_every_config_has_a_case_and_is_short() -> None:
    assert sorted(path.stem for path in CONFIGS.glob("*.yaml")) == sorted(each.name for each in CASES)
    assert [each.name for each in CASES if len(each.path.read_text(encoding="utf-8").splitlines()) > 12] == []
