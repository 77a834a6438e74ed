"""The applications of one deployment are built in one process, and those of the next in another."""

import gc
import inspect
import threading
import weakref
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from ray.serve._private import application_state

from deployments.ray_compat import builds

MODEL, ROOT = "deployments.app:model", "deployments.app:root"
SAME = {"runtime_env": {"env_vars": {"A": "1"}}, "enable_task_events": False}


class Builder:
    """Stands for a handle to the actor."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given
        self.asked: list[tuple[Any, ...]] = []
        self.build = SimpleNamespace(remote=self._ask)

    def _ask(self, *args: Any) -> str:
        self.asked.append(args)
        return f"of {args[2]}"


class Controller:
    """What Serve's controller does with its remote function, with a clock of its own."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.builders: list[Builder] = []
        self.timers: list[Any] = []
        self.serve_s: list[tuple[Mapping[str, Any], tuple[Any, ...]]] = []
        serve_s = SimpleNamespace(
            options=lambda **given: SimpleNamespace(remote=lambda *args: self.serve_s.append((given, args)))
        )
        self.builds = builds.Builds(serve_s, self._start, lambda: self.now_s)

    def _start(self, given: Mapping[str, Any]) -> Builder:
        self.builders.append(Builder(given))
        return self.builders[-1]

    def deploy(self, *names: str, path: str = MODEL, **given: Any) -> list[Any]:
        options = {**SAME, **given}
        return [self.builds.options(**options).remote(path, "v1", name, {}) for name in names]


@pytest.fixture
def controller(monkeypatch: pytest.MonkeyPatch) -> Controller:
    made = Controller()

    def timer(_after_s: float, work: Any, arguments: list[Any]) -> Any:
        return SimpleNamespace(start=lambda: made.timers.append(lambda: work(*arguments)))

    monkeypatch.setattr(threading, "Timer", timer)
    return made


def test_the_applications_of_a_deployment_share_a_process(controller: Controller) -> None:
    assert controller.deploy("root", path=ROOT) + controller.deploy("a", "b") == ["of root", "of a", "of b"]
    [builder] = controller.builders
    assert builder.given == SAME
    assert [args[:3] for args in builder.asked] == [(ROOT, "v1", "root"), (MODEL, "v1", "a"), (MODEL, "v1", "b")]


def test_the_next_deployment_gets_a_process_that_has_imported_nothing(controller: Controller) -> None:
    controller.deploy("a")
    controller.now_s = 10.0
    controller.deploy("a")
    assert [len(each.asked) for each in controller.builders] == [1, 1]


def test_an_application_that_is_asked_for_again_at_once_is_of_the_next_deployment(controller: Controller) -> None:
    controller.deploy("a", "b")
    controller.deploy("a", "c")
    assert [[args[2] for args in each.asked] for each in controller.builders] == [["a", "b"], ["a", "c"]]


@pytest.mark.parametrize(
    "named, shared",
    [
        ((None, {"Model": "deployments.autoscaling:TargetQueue"}, {"Model": "ray.serve.x:Router"}, {}), True),
        (("mine.policy:App", {}, {}, {}), False),
        ((None, {"Model": "mine.policy:Mine"}, {}, {}), False),
        ((None, {}, {"Model": "mine.router:Mine"}, {}), False),
        ((None, {}, {}, {"Model": {"helper": "mine.actors:Helper"}}), False),
    ],
)
def test_a_policy_a_router_or_an_actor_of_the_user_s_is_imported_in_no_shared_process(
    named: tuple[Any, ...], shared: bool, controller: Controller
) -> None:
    controller.builds.options(**SAME).remote(MODEL, "v1", "a", {}, None, *named)
    assert (len(controller.builders), len(controller.serve_s)) == ((1, 0) if shared else (0, 1))


def test_serve_s_arguments_that_name_code_stand_where_they_are_looked_for() -> None:
    function: Any = application_state.build_serve_application
    names = list(inspect.signature(function._function).parameters)
    assert (names[0], names[2]) == ("import_path", "name")
    assert names[builds._ALSO_IMPORTED :] == [
        "application_autoscaling_policy_function",
        "deployment_to_autoscaling_policy_function",
        "deployment_to_request_router_cls",
        "deployment_to_deployment_actor_classes",
    ]


def test_each_environment_has_a_process_in_whichever_order_they_come(controller: Controller) -> None:
    for name, value in (("a", "1"), ("b", "2"), ("c", "1"), ("d", "2")):
        controller.deploy(name, runtime_env={"env_vars": {"A": value}})
    assert [each.given["runtime_env"]["env_vars"]["A"] for each in controller.builders] == ["1", "2"]
    assert [[args[2] for args in each.asked] for each in controller.builders] == [["a", "c"], ["b", "d"]]


def test_an_application_of_the_user_s_own_is_built_as_serve_does_it(controller: Controller) -> None:
    controller.deploy("mine", path="mine.app:app")
    assert (controller.builders, controller.serve_s) == ([], [(SAME, ("mine.app:app", "v1", "mine", {}))])


def test_the_handle_is_given_up_so_that_ray_ends_the_process(controller: Controller) -> None:
    controller.deploy("a")
    controller.now_s = 10.0
    controller.deploy("b")
    earlier, later = map(weakref.ref, controller.builders)
    controller.builders.clear()
    controller.timers.pop(0)()
    gc.collect()
    assert earlier() is None
    assert later() is not None


def test_the_process_runs_serve_s_own_function(monkeypatch: pytest.MonkeyPatch) -> None:
    function = SimpleNamespace(_function=lambda *args: args)
    monkeypatch.setattr(application_state, "build_serve_application", function)
    assert builds.ApplicationBuilder().build("a", 1) == ("a", 1)


def test_serve_s_function_is_replaced_where_it_is_as_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        application_state, "build_serve_application", before := application_state.build_serve_application
    )
    builds.share_process()
    found: Any = application_state.build_serve_application
    assert isinstance(found, builds.Builds)
    assert found._serve_s is before
