"""How long cells will take, roughly: enough to decide whether to wait."""

from __future__ import annotations

from collections.abc import Iterable

from ferbench.benchmarks.cells import NO_DETECTOR, SCORED, Cell
from ferbench.benchmarks.grid import candidates, count_fits, search_work
from ferbench.benchmarks.latency import planned_seconds
from ferbench.benchmarks.plan import Plan
from ferbench.benchmarks.scenarios import parse_scenario
from ferbench.specs import parse_spec

__all__ = ["describe_plan", "detector_notes", "estimate_cell", "estimate_wall", "say_duration"]

# Seconds on one CPU core of the 2020s, measured, rounded up.
_START_S = {"baseline": 0.5, "classical": 1.0, "deep": 9.0}  # imports of a process
_DETECT_S = 0.03  # a 640×480 photo
_FEATURE_S = 0.0004  # a 48×48 crop
_LEARN_S = {"baseline": 0.0, "classical": 0.0015, "deep": 0.0016}  # a face; for networks in one epoch
_CLASSIFY_S = {"baseline": 0.0, "classical": 0.0005, "deep": 0.0006}
_SLOW_CLASSIFIERS = {"chi2-svm": 15.0, "intersection-svm": 8.0, "rbf-svm": 8.0, "random-forest": 2.0}
_DEFAULT_EPOCHS = 30


def estimate_cell(cell: Cell, plan: Plan) -> float:
    """Seconds that a cell takes alone on a machine like the one the constants are from."""
    family = plan.families[cell.row]
    facts = plan.facts[cell.dataset]
    split = facts.splits[cell.train_split if cell.kind == "fit" else cell.eval_split]
    n = min(split.n, cell.limit or split.n)
    if cell.n_folds:
        n = n * (cell.n_folds - 1) // cell.n_folds if cell.kind == "fit" else n // cell.n_folds
    if cell.kind == "latency":
        options = cell.options
        is_detecting = facts.kind == "photos" or options["frames"] != "dataset"
        frame = _CLASSIFY_S[family] + (_DETECT_S if is_detecting else 0)
        timed = max(float(options["min_seconds"]), int(options["min_frames"]) * frame)
        if parse_scenario(cell.scenario).is_fixed_rate:
            timed = planned_seconds(cell)
        return 1.5 + _START_S[family] + timed + int(options["warmup"]) * frame
    face = _FEATURE_S + (_DETECT_S if facts.kind == "photos" else 0)
    if cell.kind in SCORED:
        times = len(cell.options.get("severities", [None]))
        return 0.3 + n * times * (face + _CLASSIFY_S[family])
    classifier = parse_spec(cell.pipeline.classifier)
    slower = _SLOW_CLASSIFIERS.get(classifier.name, 1.0)
    passes = float(classifier.params.get("epochs", _DEFAULT_EPOCHS)) if family == "deep" else slower
    fits, scored = search_work(cell)
    judged = n if cell.options.get("search", {}).get("by") != "tune" else _n_tuned(cell, plan)
    learning = _LEARN_S[family] * passes
    return _START_S[family] + n * (face + learning * (1 + fits)) + scored * judged * _CLASSIFY_S[family]


def _n_tuned(cell: Cell, plan: Plan) -> int:
    search = cell.options["search"]
    n = plan.facts[cell.dataset].splits[search["split"]].n
    return min(n, search["limit"] or n)


def estimate_wall(cells: Iterable[Cell], plan: Plan, jobs: int) -> float:
    """Seconds for cells: quality work shared by ``jobs`` workers, latency one after the other."""
    chosen = list(cells)
    shared = [estimate_cell(cell, plan) for cell in chosen if cell.kind != "latency"]
    serial = sum(estimate_cell(cell, plan) for cell in chosen if cell.kind == "latency")
    # The longest fit bounds what more workers can save.
    return max(sum(shared) / jobs, max(shared, default=0.0)) + serial


def say_duration(seconds: float) -> str:
    """A duration as people say it: ``40 s``, ``3 min``, ``1 h 20 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def detector_notes(plan: Plan, cells: Iterable[Cell]) -> list[str]:
    """What a user should know of the detectors of some cells: bypassed on crops, or missing on photographs."""
    notes = []
    chosen = list(cells)
    for spec, facts in plan.facts.items():
        here = [cell for cell in chosen if cell.dataset == spec]
        detectors = sorted({cell.pipeline.detector for cell in here} - {NO_DETECTOR})
        blind = list(dict.fromkeys(cell.row for cell in here if _looks_without_detector(cell, plan)))
        if facts.kind == "crops" and detectors:
            notes.append(f"{spec} holds face crops: the detector is bypassed ({', '.join(detectors)})")
        if facts.kind == "photos" and blind:
            shown = ", ".join(blind[:3]) + (f" and {len(blind) - 3} more" if len(blind) > 3 else "")
            notes.append(
                f"{spec} holds photographs: without a detector the whole picture counts as the face of {shown}; "
                "name one, such as 'detector: haar'"
            )
    return notes


def _looks_without_detector(cell: Cell, plan: Plan) -> bool:
    is_ours = cell.row not in plan.saved and plan.families[cell.row] != "baseline"
    return is_ours and cell.pipeline.detector == NO_DETECTOR


def describe_plan(plan: Plan, cells: Iterable[Cell], done: set[str], jobs: int) -> str:
    """The plan in words: what was chosen, each row's cells, how many there are and how long they take."""
    chosen = list(cells)
    todo = [cell for cell in chosen if cell.id not in done]
    lines = [f"suite {plan.suite.name}, profile {plan.profile_name or 'default'}, seed {plan.suite.seed}"]
    for spec, facts in plan.facts.items():
        sizes = ", ".join(f"{name} {split.n:,}" for name, split in facts.splits.items())
        bypass = ", detector bypassed" if facts.kind == "crops" else ""
        synthetic = ", synthetic" if facts.is_synthetic else ""
        lines.append(f"  {spec}: {facts.title} ({facts.kind}{bypass}{synthetic}); {sizes}; revision {facts.revision}")
    width = max(len(cell.row) for cell in chosen)
    for row in dict.fromkeys(cell.row for cell in chosen if cell.kind in SCORED):
        mine = [cell for cell in chosen if cell.row == row]
        quality = next(cell for cell in mine if cell.kind in SCORED)
        text = ", ".join(
            f"{sum(cell.kind == kind for cell in mine)} {kind}"
            for kind in (*SCORED, "latency")
            if kind in ("quality", "latency") or any(cell.kind == kind for cell in mine)
        )
        pretrained = "  (pretrained)" if row in plan.saved else ""
        lines.append(f"  {row:<{width}}  {text}  {quality.pipeline.id}{pretrained}")
        lines += _describe_search(plan, quality, width)
    lines += [f"  refused: {one.row} of {one.trained_on} on {one.dataset}: {one.reason}" for one in plan.refused]
    counts = {kind: sum(cell.kind == kind for cell in chosen) for kind in ("fit", *SCORED, "latency")}
    text = ", ".join(f"{n} {kind}" for kind, n in counts.items() if n or kind not in ("robustness", "cross"))
    lines.append(f"{len(chosen)} cells ({text}); {len(chosen) - len(todo)} done already")
    if (n_fits := sum(count_fits(cell) for cell in chosen if cell.kind == "fit")) > counts["fit"]:
        lines.append(f"{n_fits:,} fits in all, {n_fits - counts['fit']:,} of them to choose settings")
    lines += [f"note: {note}" for note in detector_notes(plan, todo)]
    if todo:
        lines.append(f"about {say_duration(estimate_wall(todo, plan, jobs))} with {jobs} jobs")
    return "\n".join(lines)


def _describe_search(plan: Plan, quality: Cell, width: int) -> list[str]:
    """What is tried to find a row's settings, in words."""
    fit = next((cell for cell in plan.of_kind("fit") if cell.id == quality.options.get("fit")), None)
    if fit is None or "grid" not in fit.options:
        return []
    grid, search = fit.options["grid"], fit.options["search"]
    n = len(candidates(fit.pipeline.classifier, grid))
    where = f"{search['folds']} folds" if search["by"] == "folds" else f"the split {search['split']}"
    how = ", by successive halving" if search["method"] == "halving" else ""
    each = " in each fold" if fit.n_folds else ""
    text = f"tuned: {n} settings of {', '.join(grid)} on {where}{how}: {count_fits(fit) - 1} fits{each}"
    return [f"  {'':<{width}}  {text}"]
