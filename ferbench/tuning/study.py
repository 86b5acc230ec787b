"""A search as a folder: a journal of trials that survives a kill, a table of them, and the winner as a preset.

Optuna's sampler (TPE) proposes; each proposal is drawn from the seed and the number of trials that are done, so that a
search that was stopped proposes what an undisturbed one would have. Where it proposes what was tried, one of those
that were not takes its place, and when there are none the search is over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ferbench.checks import check_integer
from ferbench.errors import DataError, MissingDependencyError, ParameterError, RunError, ShapeError
from ferbench.pipelines.lineage import FACES
from ferbench.pipelines.preset import preset_text
from ferbench.pipelines.spec import PipelineParts, with_values
from ferbench.tuning.scoring import Scorer
from ferbench.tuning.space import Space, untried

if TYPE_CHECKING:
    import optuna

__all__ = ["Trial", "tune"]

JOURNAL, TABLE, WINNER = "trials.journal", "trials.csv", "best.yaml"

_ERROR = "error"

N_RANDOM = 5
"""Trials drawn at random before the sampler learns from them, and before any is cut short."""


@dataclass(frozen=True)
class Trial:
    """One set of parameters and what came of it.

    Attributes
    ----------
    number : int
        Counted from 1, in the order in which they were tried.
    values : dict
        Of the parameters that are searched.
    score : float
        Mean over the folds; of a trial that was cut short, what it had reached; NaN of one that failed.
    was_cut_short : bool
        Whether it was given up because others were further at the same step.
    seconds : float
    error : str
        Why the trial failed: with these values there is no such pipeline, or nothing came of its training.
    """

    number: int
    values: dict[str, Any]
    score: float
    was_cut_short: bool
    seconds: float
    error: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether it was carried to its end."""
        return not self.was_cut_short and not self.error

    @property
    def rank(self) -> tuple[float, int]:
        """Sorts the best first, and of equals the earliest: the last digits of a mean of folds are rounding."""
        return -round(self.score, 9), self.number


def tune(
    parts: PipelineParts,
    space: Space,
    scorer: Scorer,
    folder: Path,
    *,
    n_trials: int,
    seed: int,
    facts: dict[str, Any],
    on_trial: Callable[[Trial, int], None] | None = None,
) -> list[Trial]:
    """Search, or go on with a search that was stopped.

    Parameters
    ----------
    parts : PipelineParts
        What is tuned; its own parameters hold where they are not searched.
    space : Space
    scorer : Scorer
    folder : Path
        Gets ``trials.journal``, ``trials.csv`` and, once a trial is done, ``best.yaml``.
    n_trials : int
        Trials in all, those done before included; fewer where there are fewer sets of values.
    seed : int
    facts : dict
        What a search must agree with to be gone on with: ``dataset``, ``split`` and ``revision`` of the scored faces,
        ``learnt``, ``scored`` and ``metric``.
    on_trial : callable, optional
        Called with each :class:`Trial`, those of a resumed search included, and the number of trials in all.

    Returns
    -------
    list of Trial
        In the order in which they were tried.

    Raises
    ------
    RunError
        The folder has a search of something else.
    """
    check_integer("n_trials", n_trials, 1)
    folder.mkdir(parents=True, exist_ok=True)
    with _quiet_optuna() as optuna:
        searched = {dimension.name: str(dimension.distribution()) for dimension in space}
        stamp = {"pipeline": parts.id, "searched": searched, "seed": seed, **facts}
        study = _open(optuna, folder, stamp)
        for stale in study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
            study.tell(stale.number, state=optuna.trial.TrialState.FAIL)  # killed at work
        done = _done(optuna, study)
        n_all = max(n_trials, len(done))
        if on_trial:
            for trial in done:
                on_trial(trial, n_all)
        while len(done) < n_trials and (left := untried(space, [trial.values for trial in done])) != []:
            trial = _propose(optuna, study, space, left, (seed + 1) * 100_003 + len(done))
            _try(optuna, study, trial, parts, scorer)
            done = _done(optuna, study)
            _write(folder, parts, stamp, done)
            if on_trial:
                on_trial(done[-1], n_all)
    _write(folder, parts, stamp, done)
    return done


@contextmanager
def _quiet_optuna() -> Iterator[Any]:
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise MissingDependencyError("optuna", "tune", "ferbench tune") from error
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield optuna
    finally:
        optuna.logging.set_verbosity(level)


def _open(optuna: Any, folder: Path, stamp: dict[str, Any]) -> optuna.Study:
    path = folder / JOURNAL
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    pruner = optuna.pruners.MedianPruner(n_startup_trials=N_RANDOM)
    study = optuna.create_study(
        study_name="ferbench", storage=storage, direction="maximize", pruner=pruner, load_if_exists=True
    )
    known = study.user_attrs.get("stamp")
    if known is None:
        study.set_user_attr("stamp", json.loads(json.dumps(stamp)))
    elif known != json.loads(json.dumps(stamp)):
        names = [name for name in {**known, **stamp} if known.get(name) != stamp.get(name)]
        raise RunError(
            f"{folder} has another search",
            got=f"another {', '.join(names)}",
            fix="choose another folder, or delete that one to start again",
        )
    return study  # type: ignore[no-any-return]


def _propose(optuna: Any, study: Any, space: Space, left: list[dict[str, Any]] | None, seed: int) -> Any:
    study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=N_RANDOM)
    distributions = {dimension.name: dimension.distribution() for dimension in space}
    trial = study.ask(distributions)
    if left is None or trial.params in left:
        return trial
    # A fit gives the same score each time: the sampler, which expects noise, would pay for it again.
    study.tell(trial, state=optuna.trial.TrialState.FAIL)
    study.enqueue_trial(left[np.random.default_rng(seed).integers(len(left))])
    return study.ask(distributions)


def _try(optuna: Any, study: Any, trial: Any, parts: PipelineParts, scorer: Scorer) -> None:
    def report(step: int, score: float) -> None:
        trial.report(score, step)
        if trial.should_prune():
            raise optuna.TrialPruned

    try:
        score = scorer.score(with_values(parts, trial.params), report)
    except optuna.TrialPruned:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    except (ParameterError, ShapeError, DataError) as error:
        trial.set_user_attr(_ERROR, str(error))
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
    else:
        study.tell(trial, score)


def _done(optuna: Any, study: Any) -> list[Trial]:
    states = optuna.trial.TrialState
    ended = study.get_trials(deepcopy=False, states=[states.COMPLETE, states.PRUNED, states.FAIL])
    # Without an error a trial was killed at work, or proposed what was tried before: it counts for nothing.
    finished = [trial for trial in ended if trial.state != states.FAIL or _ERROR in trial.user_attrs]
    return [
        Trial(
            number=number,
            values=dict(trial.params),
            score=float("nan") if trial.state == states.FAIL else float(trial.value),
            was_cut_short=trial.state == states.PRUNED,
            seconds=round(trial.duration.total_seconds(), 1),
            error=trial.user_attrs.get(_ERROR, ""),
        )
        for number, trial in enumerate(finished, 1)
    ]


def _write(folder: Path, parts: PipelineParts, stamp: dict[str, Any], done: list[Trial]) -> None:
    """The table of all trials, and the winner as a preset."""
    import pandas as pd

    rows = [
        {
            "trial": t.number,
            **t.values,
            "score": t.score,
            "cut_short": t.was_cut_short,
            "seconds": t.seconds,
            "error": t.error,
        }
        for t in done
    ]
    pd.DataFrame(rows).to_csv(folder / TABLE, index=False)
    finished = [trial for trial in done if trial.is_whole]
    if not finished:
        return
    best = min(finished, key=lambda trial: trial.rank)
    text = preset_text(
        f"{parts.classifier.name}, tuned: the best of {len(done)} trials",
        with_values(parts, best.values).id,
        source=f"ferbench tune; {stamp['metric']} {best.score:.4f} on {stamp['scored']}, on which it was chosen",
        searched_on={name: stamp[name] for name in FACES},
    )
    (folder / WINNER).write_text(text, encoding="utf-8")
