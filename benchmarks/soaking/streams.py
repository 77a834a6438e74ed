"""The mixed load: forms, sizes and models as they come together in one server."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from pitstop.report.numbers import plural

from ..reliability.load import Load, loaded
from ..reliability.questions import Form, Questions
from ..reliability.server_under_test import ServerUnderTest
from ..reliability.service import NAME, ServiceOptions

OTHER = "other"
MODELS = (NAME, OTHER)
VERSIONS = (1, 2, 3)
SERVED = ServiceOptions(
    more=(OTHER,),
    grpc=True,
    user_config={"forward_timeout_s": 5, "check_finite": True},
    deployment={"health_check_period_s": 2},
)
_RETRIES = 6
# Model, form, rows in a request, requests a second: together about a third of what the replicas can do.
_STREAMS: tuple[tuple[str, Form, int, float], ...] = (
    (NAME, "json", 1, 40),
    (NAME, "binary", 8, 10),
    (NAME, "grpc", 1, 10),
    (OTHER, "json", 1, 20),
    (OTHER, "binary", 64, 1),
    (OTHER, "grpc", 8, 10),
)


@contextmanager
def streaming(tested: ServerUnderTest, seed: int) -> Iterator[Mapping[str, Load]]:
    """Put all of it on, by what each stream is called; take it off at the end."""
    loads = {}
    with ExitStack() as running:
        for place, (model, form, rows, rate_rps) in enumerate(_STREAMS):
            questions = Questions(tested.target(model), form, VERSIONS, rows)
            load = Load(questions, rate_rps, seed + place, _RETRIES, grpc_port=tested.grpc_port)
            loads[f"{model}, {form}, {plural(rows, 'row')}"] = running.enter_context(loaded(load))
        yield loads


def totals(loads: Mapping[str, Load]) -> list[dict[str, Any]]:
    """Return what became of the requests of each stream."""
    return [
        {
            "stream": name,
            "sent": load.sent,
            "failed": load.failed,
            "wrong": load.wrong,
            "retried": load.record.retried,
            "errors": dict(load.errors),
            "examples": load.questions.wrong[:3],
        }
        for name, load in loads.items()
    ]
