"""Checks of the faces: what was learnt from and scored alike, what is rare, what the detector missed."""

from __future__ import annotations

from collections.abc import Iterator

from ferbench.benchmarks.checks.evidence import Evidence, Found, NotApplicable
from ferbench.benchmarks.checks.leaks import Leaks
from ferbench.benchmarks.checks.wording import named, percent
from ferbench.benchmarks.records import DatasetSummary, RowSummary
from ferbench.datasets import has_learnt_from

__all__ = [
    "MIN_DETECTION_RATE",
    "MIN_SUPPORT",
    "chosen_on_test",
    "detection_rate",
    "overlap",
    "rare_classes",
    "same_subjects",
]

MIN_SUPPORT = 30
"""A class with fewer scored faces than this has scores too coarse to compare."""

MIN_DETECTION_RATE = 0.95
"""Below this share of faces found, the detector decides more than the classifier does."""


def overlap(evidence: Evidence) -> list[Found] | NotApplicable:
    """FB010: scored pictures that were learnt from, pixel by pixel or all but so."""
    found, known, reasons = [], False, []
    for info in evidence.summary.datasets:
        leaks = evidence.leaks.get(info.spec, _NOT_COMPARED)
        if isinstance(leaks, str):
            reasons.append(leaks)
            continue
        known = True
        if leaks.near:
            found.append(Found(_overlap_text(leaks), info.spec))
    return found if known else _unknown(reasons)


_NOT_COMPARED = "the pictures of this run were not compared; run its suite again to have it done"


def _overlap_text(leaks: Leaks) -> str:
    share = percent(leaks.near / leaks.n_scored)
    text = f"{leaks.near:,} of {leaks.n_scored:,} scored pictures ({share}): "
    text += f"{leaks.exact:,} equal in every pixel, {leaks.near - leaks.exact:,} that look the same"
    text += f" (the first is {leaks.examples[0][0]}, like {leaks.examples[0][1]})." if leaks.examples else "."
    if leaks.is_sampled:
        n = leaks.n_train + leaks.n_scored
        text += f" Look-alikes were searched among {leaks.n_searched:,} of the {n:,} pictures only."
    return text


def same_subjects(evidence: Evidence) -> list[Found] | NotApplicable:
    """FB011: people who were learnt from and scored."""
    found, known, reasons = [], False, []
    for info in evidence.summary.datasets:
        leaks = evidence.leaks.get(info.spec, _NOT_COMPARED)
        if isinstance(leaks, str) or leaks.subjects is None:
            reasons.append(leaks if isinstance(leaks, str) else f"{info.title} does not say who is shown")
            continue
        known = True
        if leaks.subjects:
            text = f"{leaks.subjects:,} of {leaks.n_subjects:,} scored people were also learnt from."
            found.append(Found(text, info.spec))
    return found if known else _unknown(reasons)


def _unknown(reasons: list[str]) -> NotApplicable:
    return NotApplicable("; ".join(dict.fromkeys(reasons)) or "nothing was scored")


def chosen_on_test(evidence: Evidence) -> list[Found] | NotApplicable:
    """FB012: settings, the temperature of a pretrained row, or that row itself, chosen on the scored faces."""
    found, known = [], False
    for info, rows in evidence.datasets():
        protocol = evidence.protocol(info.spec)
        if protocol is None:
            continue
        known |= bool(rows)
        tuned = [row.row for row in rows if any(one.by == f"the split {protocol.scored}" for one in row.searches)]
        if tuned or (protocol.tune == protocol.scored and not protocol.is_folded):
            who = f"The settings of {named(tuned)}" if tuned else "Settings"
            text = f"{who} were chosen on the split {protocol.scored!r}, which is also scored."
            found.append(Found(text, info.spec, tuple(tuned)))
        found += [*_calibrated(info, rows, protocol.scored), *_compared(info, rows, protocol.scored)]
    return found if known else NotApplicable("the plan of this run does not say which split was scored")


def _calibrated(info: DatasetSummary, rows: list[RowSummary], split: str) -> Iterator[Found]:
    """Rows whose temperature was fitted on the scored faces, under whatever labels."""
    where: dict[str, str] = {}
    for row in rows:
        if row.pretrained is None or row.pretrained.calibrated_on is None:
            continue
        name, _, part = row.pretrained.calibrated_on.rpartition(" ")
        fitted = {"dataset": name, "split": part, "revision": row.pretrained.calibrated_revision}
        of_these = {"dataset": info.spec, "revision": info.revision, "split": split}
        if (name, part) == (info.spec, split) or has_learnt_from(fitted, **of_these):
            where[row.row] = row.pretrained.calibrated_on
    if where:
        what = "The temperatures of" if len(where) > 1 else "The temperature of"
        yield Found(
            f"{what} {named(list(where))} {'were' if len(where) > 1 else 'was'} fitted on the "
            f"scored faces ({named(list(where.values()))}): log loss, Brier score and calibration error are too good. "
            "Labels are not touched.",
            info.spec,
            tuple(where),
            action="Read no probabilities of these rows, or score another split.",
            severity="warning",
        )


def _compared(info: DatasetSummary, rows: list[RowSummary], split: str) -> Iterator[Found]:
    """Rows that somebody chose among a few by their figures on the scored faces."""
    of_these = {"dataset": info.spec, "revision": info.revision, "split": split}
    chosen = {
        row.row: known
        for row in rows
        if row.pretrained
        and (known := [one for one in row.pretrained.compared_on if has_learnt_from(one.model_dump(), **of_these)])
    }
    if chosen:
        who = named([f"{row} (one of {known[0].n_candidates or 'a few'})" for row, known in chosen.items()])
        faces = named([f"{one.dataset} {one.split}" for known in chosen.values() for one in known])
        yield Found(
            f"{who} {'were' if len(chosen) > 1 else 'was'} chosen by figures on the scored faces ({faces}): that "
            f"flatters {'them' if len(chosen) > 1 else 'it'} a little.",
            info.spec,
            tuple(chosen),
            action="Score another split, or take a small lead for chance.",
            severity="warning",
        )


def rare_classes(evidence: Evidence) -> list[Found] | NotApplicable:
    """FB013: expressions with too few scored faces for a score of their own."""
    found, any_scored = [], False
    for info, rows in evidence.datasets():
        if not rows:
            continue
        any_scored = True
        missing = [label for label, n in info.class_counts.items() if n == 0]
        rare = [f"{label} {n}" for label, n in info.class_counts.items() if 0 < n < MIN_SUPPORT]
        said = [f"No scored face of {named(missing, most=9)}."] if missing else []
        said += [f"Fewer than {MIN_SUPPORT} scored faces: {named(rare, most=9)}."] if rare else []
        if said:
            found.append(Found(" ".join(said), info.spec))
    return found if any_scored else NotApplicable("nothing was scored")


def detection_rate(evidence: Evidence) -> list[Found] | NotApplicable:
    """FB014: detectors that miss more than one face in twenty."""
    found, any_detector = [], False
    for info, rows in evidence.datasets():
        rates: dict[str, tuple[float, int, int, list[str]]] = {}
        for row in rows:
            quality = row.quality
            if quality is None or quality.detector_bypassed or quality.n == 0:
                continue
            any_detector = True
            rate = quality.n_detected / quality.n
            if rate < MIN_DETECTION_RATE:
                entry = rates.setdefault(row.pipeline.detector, (rate, quality.n_detected, quality.n, []))
                entry[3].append(row.row)
        if rates:
            said = [
                f"{name} finds {percent(rate)} ({found_n:,} of {n:,})" for name, (rate, found_n, n, _) in rates.items()
            ]
            names = tuple(name for *_, rows_of in rates.values() for name in rows_of)
            found.append(
                Found(
                    f"{named(said)}; a missed face counts as wrong.",
                    info.spec,
                    names,
                )
            )
    return found if any_detector else NotApplicable("no detector ran: the faces came as crops, or nothing was scored")
