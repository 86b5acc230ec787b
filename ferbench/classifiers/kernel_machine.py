"""What kernel support vector machines share: the exact fit of all pairs of classes, and the fit of an explicit map."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ferbench.checks import check_integer, check_positive
from ferbench.classifiers.kernels import nystroem_projection
from ferbench.classifiers.svm import Scores, TemperatureScaled, fit_linear
from ferbench.errors import DataError, ParameterError

__all__ = ["Approximation", "KernelSVM"]

Approximation = Literal["nystroem", "additive"] | None
Matrix = npt.NDArray[np.float32]

_CHUNK = 512
"""Rows whose kernel values exist at once: 512 rows against 25,000 support vectors are 51 MB."""

_MAX_ITER = 200  # of the linear solver, after an explicit map


class KernelSVM(TemperatureScaled):
    """What the kernels share; subclasses say what a kernel value is.

    Exact, it is fitted one against one (LIBSVM). A class's score is the sum of its margins against every other class,
    each clipped to [-1, 1]: beyond its margin a pair has no more to say, and a pair that knows neither class cannot
    outvote those that do. Kernel values are computed in blocks, those within a class once for all its pairs: LIBSVM,
    which computes them one by one, needs many times as long. Memory for n rows in a class, and N, M in the two largest:
    4 Σ n² + 8 (N + M)² bytes, 1.8 GB for FER2013's training split; the fit refuses more than ``memory_mb``.

    By an explicit map, one linear machine against the rest is fitted to the mapped rows.

    The temperature comes from a model fitted to half of the rows, since fitting grows with their square: finding it
    costs a quarter of the fit, and errs towards caution.

    Parameters
    ----------
    balanced : bool
        Weigh classes by the inverse of their frequency.
    n_components : int
        Training rows drawn for ``nystroem``: more comes closer to the exact kernel, and takes as much longer.
    memory_mb : int
        Refuse an exact fit whose kernel values take more megabytes than this: 1,800 for FER2013's training split.
    cache_mb : int
        Megabytes in which LIBSVM keeps rows of them during an exact fit: changes the time, not the result.
    random_state : int
        Seed of the rows held out for the temperature, and of those that ``nystroem`` draws.
    """

    _calibration_share = 0.5
    _additive_c: float  # where C is None, of kernels that have such a map
    _approximations: tuple[Approximation, ...] = (None, "nystroem")

    def __init__(
        self,
        C: float | None = None,
        balanced: bool = False,
        approximation: Approximation = None,
        n_components: int = 1000,
        memory_mb: int = 4000,
        cache_mb: int = 500,
        random_state: int = 0,
    ) -> None:
        self.C = C
        self.balanced = balanced
        self.approximation = approximation
        self.n_components = n_components
        self.memory_mb = memory_mb
        self.cache_mb = cache_mb
        self.random_state = random_state

    def _learn_scale(self, rows: Matrix) -> None:
        """Fit what the kernel takes from the training rows, such as its width."""
        raise NotImplementedError

    def _norms(self, rows: Matrix) -> Matrix:
        """(N,) number of each row that the kernel needs and that is computed once."""
        raise NotImplementedError

    def _kernel(self, rows: Matrix, others: Matrix, norms: Matrix) -> Matrix:
        """(N, M) kernel values; ``norms`` are those of the others."""
        raise NotImplementedError

    def _map(self, rows: Matrix) -> Matrix:
        """(N, 3 D) explicit features under ``approximation="additive"``."""
        raise NotImplementedError

    def _prepared(self, rows: Matrix) -> Matrix:
        """The rows as the kernel compares them, once it has learnt its scale."""
        return rows

    def _check_rows(self, rows: Matrix) -> None:
        """Refuse rows that the kernel does not take."""

    def check_parameters(self) -> None:
        """Raise :class:`ParameterError` where a value cannot be."""
        for name in ("memory_mb", "cache_mb", *(() if self.C is None else ("C",))):
            check_positive(name, getattr(self, name))
        check_integer("n_components", self.n_components, 1)
        if self.approximation not in self._approximations:
            expected = " or ".join(map(str, self._approximations))
            raise ParameterError("parameter approximation", got=repr(self.approximation), expected=expected)

    def _fit_scores(self, rows: Matrix, labels: npt.NDArray[Any]) -> None:
        self._check_rows(rows)
        self.n_features_in_ = rows.shape[1]
        self._learn_scale(rows)
        rows = self._prepared(rows)
        if self.approximation is None:
            self._fit_pairs(rows, labels)
        else:
            self._fit_mapped(rows, np.searchsorted(self.classes_, labels))

    # -- exact -----------------------------------------------------------------------------------------------------

    def _fit_pairs(self, rows: Matrix, labels: npt.NDArray[Any]) -> None:
        of_class = [np.flatnonzero(labels == name) for name in self.classes_]
        sizes = [len(at) for at in of_class]
        self._check_memory(sizes)
        parts = [rows[at] for at in of_class]
        norms = [self._norms(part) for part in parts]
        within = [self._symmetric(part, norm) for part, norm in zip(parts, norms, strict=True)]
        first, second = np.triu_indices(len(sizes), 1)
        coefficient = [np.zeros((n, len(first)), np.float32) for n in sizes]
        intercept = np.zeros(len(first), np.float32)
        for pair, (i, j) in enumerate(zip(first, second, strict=True)):
            kernel = np.empty((sizes[i] + sizes[j],) * 2, np.float64)  # as LIBSVM reads it, without a copy
            kernel[: sizes[i], : sizes[i]], kernel[sizes[i] :, sizes[i] :] = within[i], within[j]
            for start in range(0, sizes[i], _CHUNK):
                values = self._kernel(parts[i][start : start + _CHUNK], parts[j], norms[j])
                kernel[start : start + len(values), sizes[i] :] = values
                kernel[sizes[i] :, start : start + len(values)] = values.T
            weight = {k == 0: len(rows) / (len(sizes) * sizes[c]) for k, c in enumerate((i, j))}
            found, intercept[pair] = self._fit_pair(kernel, sizes[i], weight if self.balanced else None)
            coefficient[i][:, pair], coefficient[j][:, pair] = found[: sizes[i]], found[sizes[i] :]
        is_support = [part.any(axis=1) for part in coefficient]
        self.support_vectors_ = np.concatenate([part[mask] for part, mask in zip(parts, is_support, strict=True)])
        self.support_norms_ = np.concatenate([norm[mask] for norm, mask in zip(norms, is_support, strict=True)])
        self.coef_ = np.concatenate([part[mask] for part, mask in zip(coefficient, is_support, strict=True)])
        self.intercept_ = intercept

    @property
    def _used_c(self) -> float:
        if self.C is not None:
            return self.C
        return self._additive_c if self.approximation == "additive" else 10.0

    def _check_memory(self, sizes: list[int]) -> None:
        largest = sum(sorted(sizes)[-2:])
        needed = (4 * sum(n * n for n in sizes) + 8 * largest**2) / 1e6
        if needed > self.memory_mb:
            raise DataError(
                "the kernel values of this training set need too much memory",
                got=f"{sum(sizes):,} rows, {needed:,.0f} MB",
                expected=f"at most memory_mb={self.memory_mb}",
                fix="raise memory_mb, take fewer rows, or set approximation=nystroem",
            )

    def _symmetric(self, rows: Matrix, norms: Matrix) -> Matrix:
        """(N, N) kernel values of rows among themselves, each pair computed once."""
        values = np.empty((len(rows), len(rows)), np.float32)
        for start in range(0, len(rows), _CHUNK):
            end = start + _CHUNK
            block = self._kernel(rows[start:end], rows[start:], norms[start:])
            values[start:end, start:], values[start:, start:end] = block, block.T
        return values

    def _fit_pair(
        self, kernel: npt.NDArray[np.float64], n_first: int, weight: dict[bool, float] | None
    ) -> tuple[npt.NDArray[np.float64], float]:
        """Weight of each row, and intercept, of the margin that is positive for the first class."""
        from sklearn.svm import SVC

        model = SVC(C=self._used_c, kernel="precomputed", class_weight=weight, cache_size=self.cache_mb)
        model.fit(kernel, np.arange(len(kernel)) < n_first)
        coefficient = np.zeros(len(kernel))
        coefficient[model.support_] = model.dual_coef_[0]
        return coefficient, float(model.intercept_[0])

    # -- by an explicit map ----------------------------------------------------------------------------------------

    def _fit_mapped(self, rows: Matrix, index: npt.NDArray[np.intp]) -> None:
        project: Matrix | None = None
        if self.approximation == "nystroem":
            n = min(self.n_components, len(rows))
            chosen = np.random.default_rng(self.random_state).choice(len(rows), n, replace=False)
            self.support_vectors_ = rows[np.sort(chosen)]
            self.support_norms_ = self._norms(self.support_vectors_)
            project = nystroem_projection(self._symmetric(self.support_vectors_, self.support_norms_))
            mapped = np.concatenate(
                [self._kernel(part, self.support_vectors_, self.support_norms_) @ project for part in _chunks(rows)]
            )
        else:
            mapped = self._map(rows)
        coef, self.intercept_, self.n_iter_ = fit_linear(
            mapped, index, len(self.classes_), C=self._used_c, balanced=self.balanced, max_iter=_MAX_ITER
        )
        # The projection is linear too: folded into the weights it costs nothing when predicting.
        self.coef_ = coef if project is None else project @ coef

    def _scores(self, rows: Matrix) -> Scores:
        self._check_rows(rows)
        out = [np.zeros((0, len(self.classes_)), np.float32)]
        for part in map(self._prepared, _chunks(rows)):
            if self.approximation == "additive":
                values = self._map(part)
            else:
                values = self._kernel(part, self.support_vectors_, self.support_norms_)
            margins = values @ self.coef_ + self.intercept_
            out.append(margins if self.approximation else np.clip(margins, -1, 1) @ _votes(len(self.classes_)))
        return np.concatenate(out)


def _chunks(rows: Matrix) -> list[Matrix]:
    return [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]


def _votes(n_classes: int) -> Matrix:
    """(P, C): what a pair's margin says for and against each class."""
    first, second = np.triu_indices(n_classes, 1)
    votes = np.zeros((len(first), n_classes), np.float32)
    votes[np.arange(len(first)), first], votes[np.arange(len(first)), second] = 1, -1
    return votes
