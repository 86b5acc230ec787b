"""A pipeline: detector, crop, features, classifier and runtime; the unit that is measured."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter_ns
from typing import Any, Literal, Self, cast

import numpy as np
import numpy.typing as npt

from ferbench.checks import check_integer
from ferbench.contracts import AligningDetector, Detector, Session, StagedSession
from ferbench.devices import Device, choose_device
from ferbench.errors import (
    MissingDependencyError,
    ModelFileError,
    NoFaceError,
    NotFittedError,
    ParameterError,
    ShapeError,
)
from ferbench.faces import Faces, Image, Prediction, check_image
from ferbench.labels import LabelSpace
from ferbench.pipelines.artefacts import check_fit_runtime, model_file, runs_file
from ferbench.pipelines.crops import CROP_SIDE, check_crops, check_step, crop_faces, resize_crops
from ferbench.pipelines.learning import check_calibration_faces, training_faces
from ferbench.pipelines.spec import Family, PipelineParts, complete
from ferbench.pipelines.whole import whole_images, with_stand_ins
from ferbench.registry import check_values, create, entry
from ferbench.samples import Samples
from ferbench.specs import Spec, parse_spec

__all__ = ["OnNoFace", "Pipeline", "Processed"]

OnNoFace = Literal["skip", "whole", "raise"]
"""What becomes of an image without a face: no prediction, the whole image as the face, or :class:`NoFaceError`."""

DETECT_BATCH = 32
"""Photos held in memory at once while a pipeline is fitted."""


@dataclass(frozen=True)
class Processed:
    """Faces of a batch of images, their probabilities, and what each stage took.

    Attributes
    ----------
    faces : Faces
    probabilities : (N, C) float32
        In the order of the pipeline's ``labels``.
    times_ns : dict of str to int
        Nanoseconds of ``detect``, ``align`` (eyes where asked for, crop, gray, resize), ``features``, ``classify`` and
        ``total``.
    """

    faces: Faces
    probabilities: npt.NDArray[np.float32]
    times_ns: dict[str, int]


@dataclass
class Pipeline:
    """A facial-expression recogniser from image to probabilities. :func:`~ferbench.make_pipeline` makes one.

    From the crop onwards a pipeline is a scikit-learn estimator (:attr:`estimator_`); detection stays outside,
    since it changes the number of samples.

    Attributes
    ----------
    parts : PipelineParts
        Component specs.
    label_space : LabelSpace or None
        Expressions in the order of the probabilities; known once fitted.
    input_size : int
        Side of the crops, pixels.
    on_no_face : "skip", "whole" or "raise"
    crop_scale, crop_shift : float
        How boxes become crops (see :func:`~ferbench.pipelines.crops.crop_faces`); the detector's own by default.
    trained_on : dict
        Dataset, split, revision and number of faces, for the record.
    """

    parts: PipelineParts
    label_space: LabelSpace | None = None
    input_size: int = CROP_SIDE
    on_no_face: OnNoFace = "skip"
    crop_scale: float | None = None
    crop_shift: float | None = None
    trained_on: dict[str, Any] = field(default_factory=dict)
    estimator_: Any = field(default=None, repr=False)
    classes_: tuple[str, ...] = ()
    files_: dict[str, Path] = field(default_factory=dict, repr=False)
    _detector: Detector | None = field(default=None, repr=False)
    _session: Session | None = field(default=None, repr=False)
    _device: Device | None = field(default=None, repr=False)
    _order: npt.NDArray[np.int64] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.on_no_face not in ("skip", "whole", "raise"):
            raise ParameterError("unknown on_no_face", got=repr(self.on_no_face), expected="skip, whole or raise")
        check_integer("input_size", self.input_size, 8)

    # -- what it is ------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """``detector/features/classifier@runtime``."""
        return self.parts.id

    @property
    def family(self) -> Family:
        """``baseline``, ``classical`` or ``deep``."""
        return self.parts.family

    @property
    def labels(self) -> tuple[str, ...]:
        """Expressions in the order of the probabilities."""
        if self.label_space is None:
            raise NotFittedError(f"{self.id} has no labels yet", fix="fit it, or load a saved pipeline")
        return self.label_space.labels

    @property
    def is_fitted(self) -> bool:
        """Whether it can predict."""
        return self.estimator_ is not None or bool(self.files_)

    @property
    def device(self) -> Device | None:
        """Where predictions are made; None before the runtime session is."""
        return self._device if self._session is not None else None

    @property
    def has_cacheable_features(self) -> bool:
        """Whether features depend on the crop alone, so that they may be computed once for many fits."""
        if self.parts.features is None:
            return False
        return bool(getattr(self._make_features(), "is_stateless", False))

    @property
    def detector(self) -> Detector:
        """The detector, made on first use."""
        if self._detector is None:
            self._detector = create("detectors", self.parts.detector)
        return self._detector

    # -- learning --------------------------------------------------------------------------------------------------

    def fit(self, X: Samples | npt.NDArray[np.uint8], y: npt.ArrayLike | None = None, **fit_params: Any) -> Self:
        """Learn from labelled faces.

        Parameters
        ----------
        X : Samples, or (N, h, w) uint8 gray crops
            Photos go through the detector first: the largest face of each is learnt from, and photos without one
            are left out (``trained_on["n_missed"]`` counts them).
        y : (N,) str, optional
            Label names, with crops.
        **fit_params
            Passed to a network's ``fit``: ``validation``, ``checkpoint_dir``, ``on_epoch``, ``targets``.
        """
        self.check_parameters()
        learnt = training_faces(self, X, y)
        self.label_space, self.trained_on = learnt.label_space, learnt.record
        estimator = self._make_estimator()
        if self.parts.features is None:
            estimator.fit(learnt.crops, learnt.labels, **fit_params)
        elif fit_params:
            raise ParameterError(f"{self.parts.classifier} takes no fit parameters", got=", ".join(fit_params))
        else:
            estimator.fit(learnt.crops, learnt.labels)
        return self.adopt(estimator)

    def check_parameters(self) -> None:
        """Make the parts and check their parameters' values, before any work is done.

        Raises
        ------
        UnknownNameError, ParameterError
            A parameter does not exist, its value cannot be, or the runtime is one that comes after the training.
        """
        check_fit_runtime(self.parts.runtime)
        with suppress(MissingDependencyError):  # crops need no detector; the first photograph would say so
            check_values(self.detector)
        estimator = self._make_estimator()
        for step in getattr(estimator, "named_steps", {"classifier": estimator}).values():
            check_step(step, self.input_size)

    def fit_from_features(self, F: npt.NDArray[np.float32], y: npt.ArrayLike, *, label_space: LabelSpace) -> Self:
        """Learn from features (N, D) that :meth:`features_of` computed earlier."""
        from sklearn.pipeline import Pipeline as SklearnPipeline

        self.check_parameters()
        classifier = create("classifiers", self.parts.classifier)
        classifier.fit(F, np.asarray(y, dtype=np.str_))
        features = self._make_features()
        # A stateless transformer is fitted by seeing one crop: it learns nothing but shapes.
        features.fit(np.zeros((1, self.input_size, self.input_size), np.uint8))
        self.label_space = label_space
        return self.adopt(SklearnPipeline([("features", features), ("classifier", classifier)]))

    def features_of(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Features (N, D) float32 of crops, for extractors that learn nothing."""
        if not self.has_cacheable_features:
            raise ParameterError(f"the features of {self.id} are learnt, or there are none", fix="use fit")
        features: npt.NDArray[np.float32] = self._make_features().fit_transform(resize_crops(crops, self.input_size))
        return features

    def classify_features(self, F: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(N, C) float32 probabilities of features (N, D), in the order of :attr:`labels`."""
        if self.estimator_ is None or self.parts.features is None:
            raise NotFittedError(f"{self.id} has no classifier for features", fix="fit it first")
        return self._ordered(self.estimator_[-1].predict_proba(F))

    def crops_of_photos(self, samples: Samples) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """Crops of the largest face of each photo, and the positions of the photos in which one was found."""
        crops, index = [np.empty((0, self.input_size, self.input_size), np.uint8)], [np.empty(0, np.int64)]
        for start in range(0, len(samples), DETECT_BATCH):
            images = [samples.images[i] for i in range(start, min(start + DETECT_BATCH, len(samples)))]
            faces = self.detector.detect(images).largest_per_image()
            crops.append(self.crop(images, faces))
            index.append(faces.image_index + start)
        return np.concatenate(crops), np.concatenate(index)

    def calibrate(self, samples: Samples) -> float:
        """Make a network's probabilities honest on held-out face crops, by one temperature.

        No prediction changes its label. ``trained_on["calibrated_on"]`` keeps what was used.

        Returns
        -------
        float
            The temperature; above 1, the network had been too sure.
        """
        if not hasattr(self.estimator_, "calibrate"):
            raise ParameterError(
                f"{self.id} has no network to calibrate",
                expected="a network that was fitted, or loaded with its .keras file",
            )
        check_calibration_faces(samples, self.classes_)
        crops = resize_crops(check_crops(np.asarray(samples.images)), self.input_size)
        temperature: float = self.estimator_.calibrate(crops, samples.labels)
        self._session, self.files_ = None, {}
        self.trained_on = {
            **self.trained_on,
            "calibrated_on": {
                "dataset": samples.dataset,
                "split": samples.split,
                "revision": samples.revision,
                "temperature": round(temperature, 4),
            },
        }
        return temperature

    def _make_features(self) -> Any:
        if self.parts.features is None:
            raise ParameterError(f"{self.id} is a network and has no features")
        return create("features", self.parts.features)

    def _make_estimator(self) -> Any:
        classifier = create("classifiers", self.parts.classifier)
        if self.parts.features is None:
            return classifier
        from sklearn.pipeline import Pipeline as SklearnPipeline

        return SklearnPipeline([("features", self._make_features()), ("classifier", classifier)])

    def adopt(self, estimator: Any) -> Self:
        """Take a fitted classifier, with its features where it has any, as this pipeline's own."""
        self.estimator_, self._session, self._order = estimator, None, None
        self.classes_, self.files_ = tuple(map(str, estimator.classes_)), {}
        return self

    # -- predicting ------------------------------------------------------------------------------------------------

    def prepare(self, *, threads: int = 1, device: str = "cpu") -> Self:
        """Make the runtime session; otherwise the first prediction makes one with a single CPU thread.

        Parameters
        ----------
        threads : int
            Threads a prediction may use.
        device : "cpu", "gpu" or "auto"
            ``auto`` takes a GPU where this pipeline's runtime can use one. :attr:`device` tells what came of it.

        Raises
        ------
        ParameterError
            ``threads`` is no number of threads.
        DeviceError
            A GPU was asked for, and the runtime can use none here.
        """
        if not self.is_fitted:
            raise NotFittedError(f"{self.id} is not fitted", fix="call fit, or load a saved pipeline")
        check_integer("threads", threads, 1)
        runtime = create("runtimes", self.parts.runtime)
        chosen = choose_device(device, runtime, self.parts.runtime.name)
        example = np.zeros((1, self.input_size, self.input_size), np.uint8)
        source = self._source()
        session: Session = runtime.prepare(source, example, threads=threads, device=chosen.kind)
        if isinstance(source, Path) and (n := session(example).shape[-1]) != len(self.classes_):
            raise ModelFileError(
                f"{source} and pipeline.json do not belong together",
                got=f"a model with {n} outputs",
                expected=f"{len(self.classes_)}, one for each class",
            )
        self._session = session
        self._device = chosen
        return self

    def _source(self) -> Any:
        """What the runtime is given: the path of its file, or the fitted estimator."""
        runtime = self.parts.runtime
        file = model_file(runtime)
        if runs_file(runtime) and file in self.files_:
            return self.files_[file]
        if self.estimator_ is None:
            from ferbench.pipelines.storage import load_estimator

            self.estimator_ = load_estimator(self)
        return self.estimator_

    def detect(self, images: Sequence[Image]) -> Faces:
        """Faces of a batch of images, as the detector finds them."""
        return self.detector.detect([check_image(image) for image in images])

    def crop(self, images: Sequence[Image], faces: Faces) -> npt.NDArray[np.uint8]:
        """(N, s, s) uint8 gray crops of the faces, in their order."""
        scale, shift = self._crop_geometry()
        eyes = self._find_eyes(images, faces)
        return crop_faces(images, faces, size=self.input_size, scale=scale, shift=shift, eyes=eyes)

    def classify(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """(N, C) float32 probabilities of gray crops (N, h, w) uint8, in the order of :attr:`labels`."""
        return self._ordered(self._ready()(resize_crops(check_crops(crops), self.input_size)))

    def predict_batch(self, images: Sequence[Image]) -> list[list[Prediction]]:
        """Predictions for every face of every image."""
        done = self.process(images)
        found: list[list[Prediction]] = [[] for _ in images]
        for i, at in enumerate(done.faces.image_index):
            found[int(at)].append(self.prediction(done.probabilities[i], done.faces.xyxy[i], done.faces.score[i]))
        return found

    def predict(self, image: Image) -> list[Prediction]:
        """Predictions for every face of one image, (H, W, 3) uint8 RGB or (H, W) uint8 gray."""
        return self.predict_batch([image])[0]

    def prediction(
        self, probabilities: npt.NDArray[np.float32], box: npt.NDArray[np.float32], score: float
    ) -> Prediction:
        """Name what a row of probabilities says of a face."""
        best = int(probabilities.argmax())
        left, top, right, bottom = (float(v) for v in box)
        return Prediction(
            label=self.labels[best],
            probability=float(probabilities[best]),
            probabilities=dict(zip(self.labels, map(float, probabilities), strict=True)),
            box=(left, top, right, bottom),
            detection_score=float(score),
        )

    def process(self, images: Sequence[Image], *, detector_bypassed: bool = False) -> Processed:
        """Detect, crop and classify a batch of images, timing each stage.

        This is the one path that everything timed goes through: latency cells, live, predict.

        Parameters
        ----------
        images : sequence of (H, W, 3) RGB or (H, W) gray uint8
        detector_bypassed : bool
            The images are face crops: each is taken whole, and ``on_no_face`` does not apply.
        """
        session = self._ready()
        started = perf_counter_ns()
        faces = whole_images(images, range(len(images)), 1.0) if detector_bypassed else self._faces(images)
        detected = perf_counter_ns()
        crops = crop_faces(images, faces, size=self.input_size) if detector_bypassed else self._crops(images, faces)
        aligned = extracted = perf_counter_ns()
        if not len(crops):
            probabilities = np.zeros((0, len(self.labels)), np.float32)
        elif isinstance(session, StagedSession):
            features = session.features(crops)
            extracted = perf_counter_ns()
            probabilities = self._ordered(session.classify(features))
        else:
            probabilities = self._ordered(session(crops))
        done = perf_counter_ns()
        times = {
            "detect": detected - started,
            "align": aligned - detected,
            "features": extracted - aligned,
            "classify": done - extracted,
            "total": done - started,
        }
        return Processed(faces, probabilities, times)

    def _crop_geometry(self) -> tuple[float, float]:
        """Scale and shift of the crops: the pipeline's own where it has them, the detector's otherwise."""
        scale = self.detector.crop_scale if self.crop_scale is None else self.crop_scale
        shift = self.detector.crop_shift if self.crop_shift is None else self.crop_shift
        return scale, shift

    def _find_eyes(self, images: Sequence[Image], faces: Faces) -> npt.NDArray[np.float32] | None:
        """(N, 2, 2) float32 eye centres where the detector was asked to align, None otherwise."""
        if getattr(self.detector, "align", None) is None:
            return None
        return cast(AligningDetector, self.detector).find_eyes(images, faces)

    def _crops(self, images: Sequence[Image], faces: Faces) -> npt.NDArray[np.uint8]:
        """Crops by the detector's geometry; a whole image that stands in for a missed face keeps its own edges."""
        crops = self.crop(images, faces)
        if self.on_no_face == "whole":
            whole = np.flatnonzero(faces.score == 0)
            if len(whole):
                crops[whole] = crop_faces(images, faces[whole], size=self.input_size)
        return crops

    def _faces(self, images: Sequence[Image]) -> Faces:
        faces = self.detect(images)
        if self.on_no_face == "skip":
            return faces
        missed = sorted(set(range(len(images))) - set(faces.image_index.tolist()))
        if missed and self.on_no_face == "raise":
            raise NoFaceError(
                f"{self.parts.detector} found no face",
                got=f"{len(missed)} of {len(images)} images without one",
                fix="use on_no_face='skip' or 'whole'",
            )
        return with_stand_ins(faces, images, missed) if missed else faces

    def _ready(self) -> Session:
        if self._session is None:
            self.prepare()
        if self._session is None:
            raise NotFittedError(f"{self.id} is not fitted")
        return self._session

    def _ordered(self, probabilities: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """From the model's order of classes to the label space's; a class never learnt has probability 0."""
        if self._order is None:
            if self.label_space is None:
                raise NotFittedError(f"{self.id} has no labels yet")
            self._order = self.label_space.encode(self.classes_)
        if probabilities.shape[1] != len(self._order):
            raise ShapeError(
                "the model's outputs and its classes differ", got=probabilities.shape[1], expected=len(self._order)
            )
        # argmax of NaN is the first class: a network that diverged would pass for one that always says it.
        if not np.isfinite(probabilities).all():
            raise ModelFileError(
                f"{self.id} gives probabilities that are not numbers",
                got=f"{int((~np.isfinite(probabilities)).any(axis=1).sum()):,} of {len(probabilities):,} faces",
                fix="a network may have diverged: train it at a lower learning rate",
            )
        ordered = np.zeros((len(probabilities), len(self.labels)), np.float32)
        ordered[:, self._order] = probabilities
        return ordered

    # -- other runtimes and detectors -----------------------------------------------------------------------------

    def with_runtime(self, runtime: str | Spec) -> Pipeline:
        """The same fitted pipeline on another runtime.

        Raises
        ------
        ModelFileError
            The pipeline was loaded from a folder that has no model for this runtime.
        """
        parts = complete(self.parts.detector, self.parts.features, self.parts.classifier, parse_spec(runtime))
        other = replace(self, parts=parts, _session=None, _order=None)
        if other.is_fitted and other.estimator_ is None:
            from ferbench.pipelines.storage import check_runtime

            check_runtime(other)
        return other

    def with_detector(self, detector: str | Spec) -> Pipeline:
        """The same fitted pipeline behind another detector, whose own crop geometry it takes."""
        spec = parse_spec(detector)
        entry("detectors", spec.name)
        parts = replace(self.parts, detector=spec)
        return replace(self, parts=parts, crop_scale=None, crop_shift=None, _detector=None)

    def agreement(self, crops: npt.NDArray[np.uint8], reference: Pipeline) -> dict[str, Any]:
        """How far this pipeline's probabilities are from those of a reference on the same crops."""
        mine, theirs = self.classify(crops), reference.classify(crops)
        return {
            "reference": str(reference.parts.runtime),
            "n": len(crops),
            "max_abs_difference": float(np.abs(mine - theirs).max(initial=0.0)),
            "flips": int((mine.argmax(axis=1) != theirs.argmax(axis=1)).sum()),
        }

    def save(self, folder: str | Path, *, metrics: dict[str, Any] | None = None) -> Path:
        """Write the pipeline as a folder (see :mod:`ferbench.pipelines.storage`)."""
        from ferbench.pipelines.storage import save_pipeline

        return save_pipeline(self, Path(folder), metrics=metrics)
