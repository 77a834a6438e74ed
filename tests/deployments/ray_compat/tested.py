"""Private names of Ray that tests alone use, to hold our code against what Serve itself does with it."""

from typing import Any

from deployments.ray_compat.names import Part, classes, functions, installed, values

TESTED = Part(
    "what Serve does with our code",
    "a test cannot be run",
    (
        *functions("ray.serve._private.logging_utils", {"redirected_print": "..."}),
        *functions("ray._common.utils", {"import_module_and_attr": "full_path ..."}),
        *functions("ray.serve.autoscaling_policy", {"_apply_autoscaling_config": "policy_func"}),
        *classes("ray.serve._private.common", {"DeploymentID": "name app_name"}),
        *functions("ray.autoscaler._private.util", {"prepare_config": "config", "validate_config": "config"}),
        *values("ray.serve._private.constants", "RAY_SERVE_HAPROXY_MAXCONN RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S"),
        *values("ray.serve._private.constants", "RAY_SERVE_HAPROXY_BROADCAST_COALESCE_S"),
    ),
)


def private(path: str) -> Any:
    """Return what is installed under a name of the table above, such as ray.serve._private.common.DeploymentID."""
    [name] = [each for each in TESTED.names if str(each) == path]
    return installed(name)
