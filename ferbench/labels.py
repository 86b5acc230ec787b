"""Label spaces: which expressions a dataset or a model distinguishes, and how one space maps onto another.

Labels are names everywhere; a bare index never leaves a module. The seven names of FER2013, in its order, are
``angry, disgust, fear, happy, sad, surprise, neutral``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from ferbench.errors import LabelError, ParameterError, ShapeError, UnknownNameError, suggestion

__all__ = [
    "AFFECTNET8",
    "CKPLUS7",
    "FER7",
    "FERPLUS8",
    "LABEL_SPACES",
    "RAF7",
    "ContemptPolicy",
    "LabelMap",
    "LabelSpace",
    "PermutedLabels",
    "canonical_label",
    "find_permuted_labels",
    "label_space",
]

ContemptPolicy = Literal["error", "drop", "disgust", "neutral"]
"""What becomes of contempt in a space without it. There is no default: the literature does all four."""

_CONTEMPT_FIX = (
    "choose a contempt policy, drop, disgust or neutral: contempt=drop in the data set's brackets (evaluate has "
    "--contempt, too)"
)

_ALIASES = {
    "anger": "angry",
    "angry": "angry",
    "contempt": "contempt",
    "disgust": "disgust",
    "disgusted": "disgust",
    "fear": "fear",
    "fearful": "fear",
    "happiness": "happy",
    "happy": "happy",
    "joy": "happy",
    "neutral": "neutral",
    "sad": "sad",
    "sadness": "sad",
    "surprise": "surprise",
    "surprised": "surprise",
}


def canonical_label(name: str) -> str:
    """The toolkit's name for an expression: ``"Happiness"`` and ``"joy"`` are ``"happy"``.

    Raises
    ------
    LabelError
        If the name is none of the eight expressions or their known synonyms.
    """
    try:
        return _ALIASES[name.strip().lower()]
    except KeyError:
        raise LabelError(
            "unknown expression label",
            got=repr(name),
            expected=f"one of {', '.join(sorted(_ALIASES))}",
            fix=suggestion(name.lower(), _ALIASES),
        ) from None


@dataclass(frozen=True)
class LabelSpace:
    """An ordered set of expression names.

    Parameters
    ----------
    name : str
        Name of the space, such as ``"FER7"``.
    labels : tuple of str
        Canonical names in the order in which probabilities are stored.
    """

    name: str
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.labels)) != len(self.labels) or not self.labels:
            raise LabelError(f"label space {self.name} needs distinct labels", got=list(self.labels))

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[str]:
        return iter(self.labels)

    def __contains__(self, label: object) -> bool:
        return label in self.labels

    def encode(self, labels: Iterable[str]) -> npt.NDArray[np.int64]:
        """Indices, (N,) int64, of label names. An unknown label is a :class:`LabelError`, never a -1."""
        position = {label: i for i, label in enumerate(self.labels)}
        names = [str(label) for label in labels]
        unknown = sorted(set(names) - set(position))
        if unknown:
            raise LabelError(
                f"labels outside {self.name}",
                got=", ".join(map(repr, unknown)),
                expected=f"only {', '.join(self.labels)}",
                fix="map them first with LabelSpace.map_to",
            )
        return np.fromiter((position[name] for name in names), dtype=np.int64, count=len(names))

    def decode(self, indices: npt.ArrayLike) -> npt.NDArray[np.str_]:
        """Label names, (N,) str, of indices in ``[0, len(self))``."""
        index = np.asarray(indices)
        if index.size and (index.min() < 0 or index.max() >= len(self)):
            raise LabelError(
                f"label index outside {self.name}",
                got=f"{index.min()}..{index.max()}",
                expected=f"0..{len(self) - 1}",
            )
        names: npt.NDArray[np.str_] = np.asarray(self.labels, dtype=np.str_)[index]
        return names

    def map_to(self, target: LabelSpace, *, contempt: ContemptPolicy = "error") -> LabelMap:
        """The map of this space onto another, with an explicit policy for contempt.

        Raises
        ------
        LabelError
            If a label has no counterpart in the target and no policy covers it.
        """
        if contempt not in get_args(ContemptPolicy):
            raise ParameterError("unknown contempt policy", got=repr(contempt), expected=get_args(ContemptPolicy))
        table: dict[str, str | None] = {}
        for label in self.labels:
            if label in target:
                table[label] = label
            elif label == "contempt" and contempt == "drop":
                table[label] = None
            elif label == "contempt" and contempt in target:
                table[label] = contempt
            else:
                raise LabelError(
                    f"{label!r} of {self.name} has no counterpart in {target.name}",
                    fix=_CONTEMPT_FIX if label == "contempt" else None,
                )
        return LabelMap(self, target, table)


@dataclass(frozen=True)
class LabelMap:
    """A named map between two label spaces; ``None`` in the table means that such a sample is dropped."""

    source: LabelSpace
    target: LabelSpace
    table: dict[str, str | None]

    @property
    def is_lossless(self) -> bool:
        """True where no label is dropped or merged with another."""
        values = list(self.table.values())
        return None not in values and len(set(values)) == len(values)

    def apply(self, labels: Iterable[str]) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.bool_]]:
        """Map label names.

        Returns
        -------
        mapped : (K,) str
            Labels of the kept samples, in the target space.
        keep : (N,) bool
            Which samples were kept.
        """
        names = self.source.decode(self.source.encode(labels))
        images = [self.table[str(name)] for name in names]
        keep = np.array([image is not None for image in images], dtype=bool)
        return np.array([image for image in images if image is not None], dtype=np.str_), keep


FER7 = LabelSpace("FER7", ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"))
FERPLUS8 = LabelSpace("FERPLUS8", ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt"))
CKPLUS7 = LabelSpace("CKPLUS7", ("angry", "contempt", "disgust", "fear", "happy", "sad", "surprise"))
RAF7 = LabelSpace("RAF7", ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral"))
AFFECTNET8 = LabelSpace("AFFECTNET8", ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt"))
LABEL_SPACES = {space.name: space for space in (FER7, FERPLUS8, CKPLUS7, RAF7, AFFECTNET8)}


def label_space(name: str) -> LabelSpace:
    """The label space of that name."""
    try:
        return LABEL_SPACES[name]
    except KeyError:
        raise UnknownNameError("label space", name, LABEL_SPACES) from None


@dataclass(frozen=True)
class PermutedLabels:
    """A relabelling of predictions that fits better than the names they came with.

    Attributes
    ----------
    renamed : dict
        ``{predicted name: name that fits better}`` for the names that would change.
    accuracy, best_accuracy : float
        Share of correct predictions as named, and under the better assignment.
    """

    renamed: dict[str, str]
    accuracy: float
    best_accuracy: float

    def __str__(self) -> str:
        swaps = ", ".join(f"{a}→{b}" for a, b in self.renamed.items())
        return (
            f"labels look permuted: accuracy {self.accuracy:.3f} as named, {self.best_accuracy:.3f} with {swaps}; "
            "check the label order of the model"
        )


def find_permuted_labels(
    confusion: npt.ArrayLike, labels: Iterable[str], *, min_gain: float = 0.03
) -> PermutedLabels | None:
    """Tell whether another assignment of predicted names beats the identity by more than chance.

    The best assignment is the maximum-weight matching of the confusion matrix (Hungarian method, scipy).

    Parameters
    ----------
    confusion : (C, C) array of counts
        Rows are true labels, columns predicted ones.
    labels : C names
        Names of rows and columns.
    min_gain : float
        Smallest gain in accuracy that counts; it must also exceed what the best of all assignments gains by chance.

    Returns
    -------
    PermutedLabels or None
    """
    from scipy.optimize import linear_sum_assignment

    counts, names = np.asarray(confusion, dtype=np.float64), tuple(labels)
    if counts.shape != (len(names), len(names)):
        raise ShapeError("confusion matrix and labels differ", got=counts.shape, expected=(len(names),) * 2)
    total = counts.sum()
    if total == 0:
        return None
    rows, columns = linear_sum_assignment(counts, maximize=True)
    right, best = float(np.trace(counts)), float(counts[rows, columns].sum())
    moved = [(r, c) for r, c in zip(rows, columns, strict=True) if r != c]
    # A permutation renames at least two labels. One that would gain alone is a classifier that always says the same.
    gaining = sum(counts[r, c] > counts[c, c] for r, c in moved)
    # Samples that the renaming wins and loses: under chance the variance of their difference is their sum. The best of
    # C! assignments was picked, and the largest of m normal deviates lies near sqrt(2 ln m): hence the margin.
    discordant = sum(counts[r, c] + counts[c, c] for r, c in moved)
    margin = (1 + math.sqrt(2 * math.lgamma(len(names) + 1))) * math.sqrt(discordant)
    if gaining < 2 or best - right <= max(min_gain * total, margin):
        return None
    renamed = {names[c]: names[r] for r, c in moved}
    return PermutedLabels(renamed, right / total, best / total)
