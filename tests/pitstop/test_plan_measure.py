"""Profiles are measured in a process of its own, and a start that ends it is told."""

from pathlib import Path

import pytest

from configs.loader import load
from configs.schema import SourceConfig
from models.errors import ModelError
from pitstop.plan.measure import profile_here
from tests.pitstop.audit_fakes import MISTAKES

LINEAR = load(MISTAKES / "records_gradients.yaml").models[0].config


def test_every_batch_size_is_timed_and_what_is_done_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))
    config = LINEAR.model_copy(update={"source": SourceConfig(factory="tests.models.networks:Linear")})
    told: list[str] = []
    found = profile_here(config, "cpu", 0.1, None, told.append)
    assert sorted(found.forward_ms) == [1, 2, 4, 8]
    assert "starting m on cpu" in told
    assert found.source.startswith("eager fp32, measured here, ")


@pytest.mark.parametrize(
    "factory, said",
    [
        ("tests.pitstop.mistakes.crashing:Exits", "its start ended the process with exit status 3"),
        ("tests.models.networks:RecordsGradients", "carries a graph"),
    ],
)
def test_a_start_that_fails_or_ends_its_process_is_told(factory: str, said: str) -> None:
    config = LINEAR.model_copy(update={"source": SourceConfig(factory=factory)})
    with pytest.raises(ModelError, match=said):
        profile_here(config, "cpu", 0.1, None, lambda _: None)
