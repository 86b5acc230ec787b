"""The learning curves of a network: loss and accuracy of every epoch, on the faces learnt from and on others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ferbench.errors import ParameterError

__all__ = ["CURVE_FORMATS", "check_curve", "draw_curve"]

CURVE_FORMATS = (".svg", ".png", ".pdf")
"""Endings of files that a curve can be written to."""

# From ColorBrewer's Dark2, which readers with a colour weakness tell apart; the lines differ in their dashes, too.
_TRAINING, _VALIDATION = "#7570b3", "#d95f02"


def check_curve(path: Path) -> None:
    """Raise :class:`ParameterError` if no curve can be written there, before there is one."""
    if path.suffix not in CURVE_FORMATS:
        raise ParameterError("a curve is a picture", got=path.name, expected=", ".join(CURVE_FORMATS))
    if not path.parent.is_dir():
        raise ParameterError("no such folder for the curve", got=str(path.parent))


def draw_curve(epochs: Sequence[Mapping[str, Any]], path: Path, *, title: str = "") -> None:
    """Write the figure anew.

    Parameters
    ----------
    epochs : sequence of mappings
        ``epoch``, ``loss``, ``accuracy`` (a share), and ``val_loss``, ``val_accuracy``, which may be None.
    path : Path
        Ends in one of :data:`CURVE_FORMATS`.
    title : str
        What was trained.
    """
    check_curve(path)
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with rc_context({"svg.hashsalt": "ferbench", "text.parse_math": False}):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        for axes, name, scale, unit in zip(
            figure.subplots(1, 2), ("loss", "accuracy"), (1, 100), ("cross-entropy", "%"), strict=True
        ):
            for key, label, style, colour in (
                (name, "training, transformed faces", "-", _TRAINING),
                (f"val_{name}", "validation", "--", _VALIDATION),
            ):
                points = [(line["epoch"], scale * line[key]) for line in epochs if line.get(key) is not None]
                if points:
                    axes.plot(*zip(*points, strict=True), style, color=colour, marker=".", label=label)
            axes.set(xlabel="epoch", ylabel=f"{name} ({unit})")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(alpha=0.3)
            axes.legend(frameon=False)
        if title:
            figure.suptitle(title, fontsize=10)
        new = path.with_name(f".{path.name}.new{path.suffix}")  # whoever looks on never sees half a picture
        figure.savefig(new, metadata={"Date": None} if path.suffix == ".svg" else None)
    new.replace(path)
