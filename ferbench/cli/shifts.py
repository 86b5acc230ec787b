"""What ``ferbench run`` prints of spoilt faces and of other data sets: tables of 80 columns."""

from __future__ import annotations

from ferbench.benchmarks.evidence import Estimate
from ferbench.benchmarks.records import Summary
from ferbench.reports.shifts import MatrixView, RobustnessView, dataset_names, loss, matrix_views, robustness_views

__all__ = ["shifts_text"]

WIDTH = 80
SHORT = 16
"""Longest name of a data set that heads a column; longer ones are numbered."""


def shifts_text(summary: Summary) -> str:
    """Robustness and the cross-dataset matrices of a run; empty where the suite asks for neither."""
    names = dataset_names(summary)
    lines: list[str] = []
    for view in robustness_views(summary):
        lines += ["", *_robustness(view, names)]
    matrices = matrix_views(summary)
    if matrices:
        lines += ["", "across data sets: learnt from the line's, scored on the column's; accuracy %"]
        if any(len(name) > SHORT for name in names.values()):
            lines += [_cut(f"  {i} = {name}", WIDTH) for i, name in enumerate(names.values(), start=1)]
            names = {spec: str(i) for i, spec in enumerate(names, start=1)}
    for matrix in matrices:
        lines += _matrix(matrix, names)
    if matrices:
        lines.append("[one data set]; otherwise the difference to learning there, (in doubt)")
    return "\n".join(lines)


def _robustness(view: RobustnessView, names: dict[str, str]) -> list[str]:
    severities = ", ".join(map(str, view.severities))
    lines = [
        _cut(f"robustness on {names[view.info.spec]}", WIDTH),
        f"{len(view.names)} corruptions, severities {severities}; relative: corrupted / clean",
    ]
    if view.rows:
        lines.append(f"{'pipeline':<31} {'clean':>7} {'corrupted':>10} {'relative':>9} {'95 %':>13} {'mCE':>5}")
    for row in view.rows:
        shares = [_percent(row.clean), _percent(row.mean), _percent(row.relative)]
        within = row.relative
        interval = f"{within.low:.1%} {within.high:.1%}" if within and within.low is not None and within.high else "-"
        mce = f"{row.mce.value:.2f}" if row.mce else "-"
        lines.append(f"{_cut(row.row, 31):<31} {shares[0]:>7} {shares[1]:>10} {shares[2]:>9} {interval:>13} {mce:>5}")
    lines += [_cut(f"{_cut(row.row, 31):<31} {row.status}: {row.reason}", WIDTH) for row in view.others]
    return lines


def _matrix(matrix: MatrixView, names: dict[str, str]) -> list[str]:
    shown = matrix.targets
    wide = max(12, min(20, (WIDTH - 22) // max(len(shown), 1) - 1))
    head = "".join(f" {_cut(names[info.spec], wide):>{wide}}" for info in shown)
    lines = [f"{_cut(matrix.row, 21):<21}{head}"]
    for source in matrix.sources:
        text = ""
        for info in shown:
            one = matrix.cells.get((source, info.spec))
            said = "-" if one is None else str(one.status)
            if one is not None and one.accuracy is not None:
                said = f"{100 * one.accuracy.value:.1f}"
                said = f"[{said}]" if one.is_diagonal else f"{said} {loss(one.drop)}" if one.drop else said
            text += f" {said:>{wide}}"
        lines.append(f"  {_cut(names.get(source, source), 19):<19}{text}")
    return lines


def _percent(estimate: Estimate | None) -> str:
    return "-" if estimate is None else f"{estimate.value:.1%}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
