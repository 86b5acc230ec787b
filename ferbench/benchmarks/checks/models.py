"""Checks of what the rows are: exports that agree, machines that are one, models that have not seen the faces."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ferbench.benchmarks.checks.evidence import Evidence, Found, NotApplicable
from ferbench.benchmarks.checks.wording import named, percent
from ferbench.benchmarks.records import Ancestor, DatasetSummary, Pretrained, RowSummary
from ferbench.errors import FerbenchError
from ferbench.pipelines.lineage import INITIAL, TEACHER
from ferbench.specs import parse_spec

__all__ = [
    "differing_environments",
    "environments_differ",
    "lossy_labels",
    "permuted_labels",
    "pretrained_saw_it",
    "runtimes_disagree",
]

MAX_DIFFERENCE = {"float32": 1e-3, "float16": 0.03}
"""Largest difference of a probability between a runtime and its reference, by precision; coarser precisions move
probabilities by design, and are judged by the labels that change."""

MAX_FLIPS = {"float32": 0.002, "float16": 0.01}
"""Share of faces whose label may change. Some flip on the edge between two labels without any mistake."""
MAX_FLIPS_QUANTISED = 0.06
"""That of integer precisions, as the limits of ``ferbench export`` have it."""


def runtimes_disagree(evidence: Evidence) -> list[Found] | NotApplicable:
    """FB008: a runtime that answers otherwise than the network that it was exported from."""
    found, any_compared = [], False
    for row in evidence.summary.rows:
        if not row.agreement:
            continue
        any_compared = True
        n, flips = int(row.agreement.get("n") or 0), int(row.agreement.get("flips") or 0)
        difference = float(row.agreement.get("max_abs_difference") or 0.0)
        against = str(row.agreement.get("reference") or "its reference")
        precision = _coarser(_precision(row.pipeline.runtime or ""), _precision(against))
        most = MAX_DIFFERENCE.get(precision)
        share = flips / n if n else 0.0
        if share > MAX_FLIPS.get(precision, MAX_FLIPS_QUANTISED) or (most is not None and difference > most):
            text = f"{row.row} and {against} differ by up to {difference:.2g} in a probability, and on {flips:,} of "
            text += f"{n:,} faces ({percent(share)}) in the label."
            found.append(Found(text, row.dataset, (row.row,)))
    return found if any_compared else NotApplicable("no runtime was compared with a reference")


def _precision(runtime: str) -> str:
    try:
        asked = str(parse_spec(runtime).params.get("quantize", "none"))
    except FerbenchError:  # a record by another version: its name is no spec of this one
        return "float32"
    return "float32" if asked in ("none", "None") else asked


def _coarser(*precisions: str) -> str:
    """What explains a difference, whichever of the two models is called the reference."""
    return max(precisions, key=lambda one: MAX_DIFFERENCE.get(one, math.inf))


def environments_differ(evidence: Evidence) -> list[Found] | NotApplicable:
    """FB016: numbers of one table that were measured on different machines, or with different versions."""
    machines: dict[str, list[str]] = {}
    for part in evidence.parts.values():
        if part.cell.kind == "latency" and part.cell.machine:
            machines.setdefault(part.cell.machine, []).append(part.cell.row)
    facts = _facts_that_differ(evidence)
    if len(machines) > 1:
        said = [f"{name} timed {named(rows)}" for name, rows in machines.items()]
        names = tuple(dict.fromkeys(row for rows in machines.values() for row in rows))
        text = f"Latencies of {len(machines)} machines stand in one table: {named(said)}."
        return [Found(text + (f" They differ: {named(facts)}." if facts else ""), rows=names)]
    if facts:
        return [Found(f"The merged runs were made under different conditions: {named(facts)}.")]
    here = evidence.summary.environment.get("fingerprint")
    if machines and here and here not in machines:
        (other,) = machines
        return [Found(f"The run began on the machine {here}, and was timed on {other}.")]
    if not machines and not evidence.summary.environments:
        return NotApplicable("one run on one machine: nothing to differ")
    return []


def _facts_that_differ(evidence: Evidence) -> list[str]:
    """What differs between the first of the runs of a merged one and the others."""
    first, *others = list(evidence.summary.environments.values()) or [{}]
    return list(dict.fromkeys(fact for other in others for fact in differing_environments(first, other)))


def differing_environments(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """What differs between two captured environments that can move a number, one fact each, in words.

    Parameters
    ----------
    a, b : mapping
        As :func:`ferbench.benchmarks.environment.capture_environment` gives them.

    Returns
    -------
    list of str
        Such as ``"numpy 2.1.0 and 2.2.0"``; empty where nothing that counts differs.
    """
    facts = []
    for name, path in _FACTS.items():
        mine, theirs = _dig(a, path), _dig(b, path)
        if mine != theirs and mine is not None and theirs is not None:
            facts.append(f"{name} {mine} and {theirs}")
    mine, theirs = a.get("packages") or {}, b.get("packages") or {}
    facts += [
        f"{name} {mine.get(name, 'not installed')} and {theirs.get(name, 'not installed')}"
        for name in sorted(set(mine) | set(theirs))
        if mine.get(name) != theirs.get(name)
    ]
    return facts


_FACTS: dict[str, Sequence[str]] = {
    "machine": ("fingerprint",),
    "CPU": ("cpu", "model"),
    "cores": ("cpu", "cores_available"),
    "system": ("os", "system"),
    "architecture": ("os", "architecture"),
    "Python": ("python", "version"),
    "revision": ("git", "revision"),
}


def _dig(mapping: Mapping[str, Any], path: Sequence[str]) -> Any:
    value: Any = mapping
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def pretrained_saw_it(evidence: Evidence) -> list[Found] | NotApplicable:
    """FB017: a row that came trained on these pictures, itself or by what it learnt from, or does not say on which."""
    rows = [(info, row) for info, scored in evidence.datasets() for row in scored if row.pretrained is not None]
    if not rows:
        return NotApplicable("every row was fitted in this run")
    return [found for info, row in rows if row.pretrained for found in _saw(evidence, info, row, row.pretrained)]


def _saw(evidence: Evidence, info: DatasetSummary, row: RowSummary, came: Pretrained) -> Iterator[Found]:
    if came.dataset is None:
        yield Found(
            f"{row.row} does not say which faces it learnt from: whether it saw those of {info.title} is not known.",
            info.spec,
            (row.row,),
            action=_ASK,
            severity="warning",
        )
        return
    yield from _learnt(evidence, info, row, row.row, came)
    for one in came.ancestors:
        who = f"{one.name}, {_ROLES.get(one.role, one.role)} {row.row},"
        if one.dataset is None:
            text = f"{who} does not say which faces it learnt from: what {row.row} owes to those of {info.title} "
            yield Found(f"{text}is not known.", info.spec, (row.row,), action=_ASK, severity="warning")
        # Another split of the same pictures is what the row itself says already.
        elif (one.dataset, one.split, one.revision) != (came.dataset, came.split, came.revision):
            yield from _learnt(evidence, info, row, who, one)


_ASK = "Ask whoever trained it, or leave the row out."
_ROLES = {TEACHER: "a teacher of", INITIAL: "whose weights were the start of"}


def _learnt(
    evidence: Evidence, info: DatasetSummary, row: RowSummary, who: str, came: Pretrained | Ancestor
) -> Iterator[Found]:
    """Whether the row, or a network before it, learnt from the faces that are scored or from their like."""
    from ferbench.datasets import has_learnt_from

    protocol = evidence.protocol(info.spec)
    learnt = {"dataset": came.dataset, "split": came.split, "revision": came.revision}
    if protocol and has_learnt_from(learnt, dataset=info.spec, revision=info.revision, split=protocol.scored):
        text = f"{who} learnt from the faces that score it: {came.dataset} {came.split}, scored on {info.title}."
        yield Found(text, info.spec, (row.row,))
    elif has_learnt_from(learnt, dataset=info.spec, revision=info.revision, split="all"):
        same = "the same collection" if came.revision == info.revision else "the same pictures under other labels"
        text = f"{who} learnt from {came.dataset} {came.split}, another split of {same} as {info.title}."
        yield Found(
            text,
            info.spec,
            (row.row,),
            action="Fair against rows that are fitted to that split here; no evidence of transfer to new pictures.",
            severity="note",
        )


def lossy_labels(evidence: Evidence) -> list[Found] | NotApplicable:
    """FB018: expressions that were merged, dropped, or known to a row and not to the data set."""
    found, any_scored = [], False
    for info, rows in evidence.datasets():
        any_scored |= bool(rows)
        policy = _contempt_policy(info.spec)
        if policy is not None:
            became = "left out" if policy == "drop" else f"counted as {policy}"
            found.append(Found(f"Faces of contempt in {info.title} were {became}.", info.spec))
        for row in rows:
            quality = row.quality
            extra = [label for label in quality.labels if label not in info.labels] if quality else []
            if quality and extra:
                at = [quality.labels.index(label) for label in extra]
                n = sum(counts[i] for counts in quality.confusion for i in at)
                text = f"{row.row} tells {named(extra)} apart, which {info.title} does not have: "
                text += f"{n:,} of {quality.n:,} faces were named so, and counted wrong."
                found.append(Found(text, info.spec, (row.row,)))
    for one in evidence.summary.transfers:
        any_scored |= one.status == "ok"
        said = [f"{label} → {became}" for label, became in one.mapped.items()]
        if one.status == "ok" and said:
            dropped = f"; {one.n_dropped:,} faces left out" if one.n_dropped else ""
            text = (
                f"{one.row}, trained on {one.trained_on} and scored on {one.dataset}: {named(said, most=9)}{dropped}."
            )
            found.append(Found(text, one.dataset, (one.row,)))
    return found if any_scored else NotApplicable("nothing was scored")


def _contempt_policy(spec: str) -> str | None:
    try:
        policy = parse_spec(spec).params.get("contempt")
    except FerbenchError:  # a record by another version: its name is no spec of this one
        return None
    return None if policy in (None, "keep") else str(policy)


def permuted_labels(evidence: Evidence) -> list[Found] | NotApplicable:
    """FB021: predictions that would fit much better under other names."""
    rows = [(info, row) for info, scored in evidence.datasets() for row in scored]
    if not rows:
        return NotApplicable("nothing was scored")
    return [
        Found(f"{row.row}: {row.quality.permuted_labels}.", info.spec, (row.row,))
        for info, row in rows
        if row.quality and row.quality.permuted_labels
    ]
