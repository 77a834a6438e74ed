"""What may change while requests run, with none lost: an application's `user_config`."""

from pydantic import Field, model_validator

from .strict import Strict

_DAY_S = 86_400
_KIB = 1 / 1024
_HANG_S = 30.0


class CanaryConfig(Strict):
    """Another application of the same model, which answers a share of the requests."""

    application: str = Field(min_length=1, description="The application that serves the other version.")
    percent: float = Field(ge=0, le=100, description="Its share of the requests, in percent.")


class TargetsConfig(Strict):
    """What alerts compare with, and how long TargetQueue lets rows wait; requests are served the same."""

    p99_ms: float | None = Field(
        None, gt=0, le=_DAY_S * 1000, description="Alert if the p99 of requests is higher, in ms."
    )
    queue_ms: float | None = Field(
        None,
        gt=0,
        le=_DAY_S * 1000,
        description="Longest wait of a row for its forward, in ms: an alert above it, and what TargetQueue scales by.",
    )


class Tunables(Strict):
    """What may change while requests run: an application's `user_config`."""

    max_batch_size: int | None = Field(None, ge=1, le=65536, description="Largest batch, if smaller than in args.")
    batch_wait_timeout_s: float = Field(
        0, ge=0, le=10, description="Longest time that a request waits for a fuller batch, in seconds."
    )
    max_queue_size: int = Field(
        1024, ge=1, le=16_777_216, description="Most rows that may wait; further requests get 503."
    )
    request_timeout_s: float = Field(
        30, ge=0.01, le=_DAY_S, description="Longest time from arrival to answer, in seconds; then 408."
    )
    max_body_mib: float = Field(
        64, ge=_KIB, le=65536, description="Largest body in MiB, before and after decompression; then 413."
    )
    retry_after_s: int = Field(1, ge=1, le=_DAY_S, description="Retry-After of a 503, in seconds.")
    canary: CanaryConfig | None = Field(None, description="Another version that answers a share of the requests.")
    # Page faults and garbage collections stop a replica for tenths of a second; that must not end it.
    forward_timeout_s: float | None = Field(
        None,
        ge=1,
        le=_DAY_S,
        description="A forward that takes longer ends the replica; by default request_timeout_s, but at least 30 s "
        "and at least ten times the slowest forward of the start.",
    )
    check_finite: bool = Field(False, description="Refuse answers with NaN or infinity in a float output.")
    targets: TargetsConfig = Field(
        TargetsConfig(p99_ms=None, queue_ms=None), description="What alerts and TargetQueue compare with."
    )

    @model_validator(mode="after")
    def _in_time(self) -> "Tunables":
        if self.batch_wait_timeout_s >= self.request_timeout_s:
            raise ValueError(
                f"batch_wait_timeout_s ({self.batch_wait_timeout_s:g}) is not below request_timeout_s "
                f"({self.request_timeout_s:g}): a request that waits for a fuller batch would end with 408\n"
                "help: lower batch_wait_timeout_s, or raise request_timeout_s"
            )
        return self

    @property
    def hang_after_s(self) -> float:
        """After request_timeout_s no client waits. The 30 s are for configs with a shorter request_timeout_s."""
        return max(self.request_timeout_s, _HANG_S) if self.forward_timeout_s is None else self.forward_timeout_s
