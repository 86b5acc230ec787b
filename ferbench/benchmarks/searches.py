"""What is stored of a search for settings: every candidate, its scores, and which was chosen."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ferbench.benchmarks.record import Record

__all__ = ["CandidateScore", "SearchSummary", "say"]


class CandidateScore(Record):
    """One candidate in the last rung that it reached."""

    parameters: dict[str, Any]
    mean: float = Field(description="over folds")
    spread: float | None = Field(description="standard deviation over folds; None on a tune split")
    scores: list[float] = Field(description="one for each fold")
    share: float = Field(description="of the training faces that it was fitted to")
    fit_seconds: float = Field(description="mean of a fit")


class SearchSummary(Record):
    """How a row's settings were found; on data that is folded, one for each fold."""

    fold: int | None = None
    classifier: str = Field(description="what was chosen, as a spec")
    parameters: dict[str, Any] = Field(description="what was chosen")
    metric: str
    method: str
    by: str = Field(description="in words: 5 folds of the training split, or the split val")
    n_faces: int = Field(description="faces that candidates were scored on")
    n_fits: int
    candidates: list[CandidateScore] = Field(description="best first; those that halving dropped after those it kept")

    @property
    def best(self) -> CandidateScore:
        """The chosen candidate."""
        return self.candidates[0]

    @property
    def text(self) -> str:
        """``"C=10, gamma=2.5: accuracy 0.612 ± 0.008, best of 6 on 5 folds of the training split (30 fits)"``."""
        spread = "" if self.best.spread is None else f" ± {self.best.spread:.3f}"
        found = f"{self.metric.replace('_', ' ')} {self.best.mean:.3f}{spread}"
        how = ", by successive halving" if self.method == "halving" else ""
        return f"{say(self.parameters)}: {found}, best of {len(self.candidates)} on {self.by} ({self.n_fits} fits{how})"


def say(parameters: dict[str, Any]) -> str:
    """``C=10, gamma=2.5``."""
    return ", ".join(f"{name}={value}" for name, value in parameters.items())
