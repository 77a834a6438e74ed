"""What may change while requests run, with none lost: an application's `user_config`."""

from pydantic import Field, model_validator

from .strict import Strict

_DAY_S = 86_400
_KIB = 1 / 1024
_HANG_S = 30.0


class CanaryConfig(Strict):
    """Another application of the same model, which answers a share of the requests."""

    application: str = Field(min_length=1, description="The application that serves the other version.")
    percent: float = Field(ge=0, le=100, description="Its share of the requests.")


class Tunables(Strict):
    """What may change while requests run: an application's `user_config`."""

    max_rows: int | None = Field(None, ge=1, le=65536, description="Fewer rows in a forward than the max_rows in args.")
    wait_ms: float = Field(0, ge=0, le=10_000, description="How long a first request waits for company.")
    max_queued_rows: int = Field(
        1024, ge=1, le=16_777_216, description="Rows that may wait; beyond them the answer is 503."
    )
    timeout_s: float = Field(30, ge=0.01, le=_DAY_S, description="Longest time from arrival to answer; then 408.")
    max_body_mib: float = Field(
        64, ge=_KIB, le=65536, description="Largest body, before and after decompression; then 413."
    )
    retry_after_s: int = Field(1, ge=1, le=_DAY_S, description="What a 503 asks the client to wait.")
    canary: CanaryConfig | None = Field(None, description="Another version that answers a share of the requests.")
    # A replica is busy for tenths of a second now and then, with pages or garbage, and must not end itself by that.
    hang_s: float | None = Field(
        None,
        ge=1,
        le=_DAY_S,
        description="A forward of this long ends the replica; by default no less than timeout_s and 30 s.",
    )
    check_outputs: bool = Field(False, description="Refuse answers with NaN or infinity in a float output.")

    @model_validator(mode="after")
    def _in_time(self) -> "Tunables":
        if self.wait_ms >= self.timeout_s * 1000:
            raise ValueError(
                f"wait_ms ({self.wait_ms:g}) is not below timeout_s ({self.timeout_s:g} s): "
                "a request that waits for others would end as 408\nhelp: lower wait_ms, or raise timeout_s"
            )
        return self

    @property
    def hang_after_s(self) -> float:
        """After timeout_s nobody waits for a forward any more; the 30 s are for those with a short patience."""
        return max(self.timeout_s, _HANG_S) if self.hang_s is None else self.hang_s
