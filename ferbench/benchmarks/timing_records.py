"""What latency cells tell besides times: rates and drops, repeats, CPU and threads, energy; validated by pydantic."""

from __future__ import annotations

from pydantic import Field

from ferbench.benchmarks.record import Record

__all__ = ["Energy", "FixedRate", "Repeats", "Usage"]


class FixedRate(Record):
    """What became of frames that came at a rate of their own, pooled over rounds.

    The age of a result is the time from the arrival of its frame until it is on the host.
    """

    hz: float = Field(description="frames a second; of hz=auto the median of the rates found")
    n_frames: int
    n_dropped: int = Field(description="frames that a newer one replaced before they were taken")
    drop_share: float
    drop_low: float = Field(description="exact (Clopper-Pearson) 95 % interval of the share")
    drop_high: float
    age_p50: float = Field(description="milliseconds")
    age_p50_low: float | None = None
    age_p50_high: float | None = None
    age_p99: float | None = Field(default=None, description="None under 662 answered frames")
    age_p99_low: float | None = None
    age_p99_high: float | None = None
    is_searched: bool = Field(default=False, description="hz=auto: the highest rate with under 1 % dropped was sought")
    highest_low: float | None = Field(default=None, description="highest rate kept up with, lowest of the rounds")
    highest_high: float | None = Field(default=None, description="lowest rate not kept up with, highest of the rounds")
    is_closed: bool = Field(default=False, description="whether the search closed within its resolution in each round")
    resolution: float | None = Field(default=None, description="relative; 0.02: the two rates are at most 2 % apart")
    n_trials: int = 0


class Repeats(Record):
    """New frames against the same frames again, in pairs."""

    n_pairs: int
    first_ms: float
    again_ms: float
    p: float = Field(description="one-sided exact sign test")
    is_cached: bool = Field(description="repeats are faster beyond noise: the pipeline remembers frames")


class Usage(Record):
    """CPU time and threads of the worker while it was timed; the worst of the rounds."""

    cores: float = Field(description="CPU time of all threads over wall time, waiting for frames left out")
    n_threads: int
    n_busy: int = Field(description="threads that worked 5 % of the wall time or more")
    n_started: int = Field(description="threads that the timed calls started and left")
    problem: str | None = Field(default=None, description="how the thread setting was exceeded")


class Energy(Record):
    """Energy of the processor's packages, all that they do included."""

    source: str = Field(description="which counters, or why there is no figure")
    joules_per_frame: float | None = None
    watts: float | None = None
