"""Names for components: the built-in table, plugins' entry points, and what a spec such as ``lbp(grid=7)`` makes.

Listing names imports no component. Built-ins and plugins load through the same ``importlib.metadata.EntryPoint``,
so the plugin path is exercised on every call. A plugin package declares, in its ``pyproject.toml``::

    [project.entry-points."ferbench.features"]
    my-features = "my_package:MyFeatures"
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from ferbench.checks import check_flag, check_integer
from ferbench.errors import FerbenchError, MissingDependencyError, ParameterError, UnknownNameError
from ferbench.specs import Spec, parse_spec

__all__ = ["GROUPS", "Entry", "check_values", "create", "entries", "entry"]

GROUPS = ("detectors", "features", "classifiers", "runtimes", "datasets")
"""The kinds of component; the entry-point group of each is ``ferbench.<kind>``."""


@dataclass(frozen=True)
class Entry:
    """One registered component.

    Attributes
    ----------
    group, name : str
        Kind and registered name.
    target : str
        ``module:attribute`` of the class or factory.
    summary : str
        One line for listings.
    extra : str or None
        The extra of ferbench that it needs, if any.
    package : str
        Distribution it comes from.
    needs : str
        Import name of the package behind the extra.
    """

    group: str
    name: str
    target: str
    summary: str
    extra: str | None = None
    package: str = "ferbench"
    needs: str = ""

    def load(self) -> Callable[..., Any]:
        """Import the class or factory; a missing extra is a :class:`MissingDependencyError` with its pip line.

        Raises
        ------
        MissingDependencyError
        FerbenchError
            What a plugin's package registers is not there, or imports what is not.
        """
        try:
            factory: Callable[..., Any] = EntryPoint(self.name, self.target, f"ferbench.{self.group}").load()
        except (ImportError, AttributeError) as error:
            missing = error.name if isinstance(error, ModuleNotFoundError) else None
            if self.extra is not None and missing and missing.split(".")[0] == self.needs.split(".")[0]:
                raise MissingDependencyError(self.needs, self.extra, f"{self.group[:-1]} {self.name!r}") from error
            if self.package == "ferbench":
                raise
            raise FerbenchError(
                f"{self.group[:-1]} {self.name!r} of the package {self.package} cannot be imported",
                got=f"{type(error).__name__}: {error}",
                fix=f"update, mend or uninstall {self.package}",
            ) from error
        return factory


_SKLEARN = "ferbench.classifiers.sklearn"
_KERNEL_SVM = "ferbench.classifiers.kernel_svm"
_BUILT_IN: dict[str, tuple[tuple[str, ...], ...]] = {
    "detectors": (
        (
            "whole-image",
            "ferbench.detectors.whole_image:WholeImage",
            "the image is the face: for datasets of crops",
        ),
        ("haar", "ferbench.detectors.haar:HaarDetector", "Viola-Jones cascades of OpenCV"),
        (
            "lbp-cascade",
            "ferbench.detectors.lbp_cascade:LBPCascadeDetector",
            "cascade of local binary patterns (OpenCV)",
        ),
        (
            "dlib-hog",
            "ferbench.detectors.dlib_hog:DlibHogDetector",
            "HOG + SVM sliding window of dlib",
            "dlib",
            "dlib",
        ),
        (
            "dlib-cnn",
            "ferbench.detectors.dlib_cnn:DlibCnnDetector",
            "max-margin network of dlib: slow, and finds turned faces",
            "landmarks",
            "face_recognition_models",
        ),
        (
            "yunet",
            "ferbench.detectors.yunet:YuNetDetector",
            "small network through OpenCV; what the pipelines that come trained use",
        ),
    ),
    "features": (
        ("pixels", "ferbench.features.pixels:Pixels", "gray values in [0, 1]"),
        ("lbp", "ferbench.features.lbp:LBP", "histograms of local binary patterns on a grid"),
        ("hog", "ferbench.features.hog:HOG", "histograms of oriented gradients (OpenCV)"),
        ("gabor", "ferbench.features.gabor:Gabor", "magnitudes of Gabor filters on a grid"),
        ("wavelet", "ferbench.features.wavelet:Wavelet", "sub-bands of the wavelet transform (PyWavelets)"),
        ("dense-sift", "ferbench.features.dense_sift:DenseSIFT", "bag of visual words over dense SIFT, in a pyramid"),
        (
            "random-convolutions",
            "ferbench.features.random_convolutions:RandomConvolutions",
            "rectified and pooled convolutions with unlabelled filters",
        ),
        (
            "pca",
            "ferbench.features.pca:PCAFeatures",
            "eigenfaces: principal components of pixels or other features",
        ),
        (
            "fisherfaces",
            "ferbench.features.fisherfaces:Fisherfaces",
            "linear discriminants of principal components",
        ),
        (
            "landmarks",
            "ferbench.features.landmarks:Landmarks",
            "geometry of dlib's 68 points (model: non-commercial)",
            "landmarks",
            "face_recognition_models",
        ),
        (
            "optical-flow",
            "ferbench.features.optical_flow:OpticalFlow",
            "movement from the mean neutral face, or within a sequence",
        ),
        ("union", "ferbench.features.union:Union", "several features side by side: union(of=[hog, lbp])"),
        ("mirrored", "ferbench.features.mirrored:Mirrored", "features of the face and of its mirror image"),
    ),
    "classifiers": (
        ("majority", f"{_SKLEARN}:majority", "baseline: always the most frequent class"),
        ("linear-svm", "ferbench.classifiers.svm:LinearSVM", "linear support vector machine"),
        ("rbf-svm", f"{_KERNEL_SVM}:RBFSVM", "support vector machine with a Gaussian kernel"),
        ("chi2-svm", f"{_KERNEL_SVM}:Chi2SVM", "support vector machine with a χ² kernel, for histograms"),
        (
            "intersection-svm",
            f"{_KERNEL_SVM}:IntersectionSVM",
            "support vector machine with a histogram intersection kernel",
        ),
        (
            "kernel-ridge",
            "ferbench.classifiers.kernel_ridge:KernelRidge",
            "least squares with a Gaussian kernel, in closed form",
        ),
        (
            "local-svm",
            "ferbench.classifiers.local_svm:LocalSVM",
            "linear machine learnt for each face from its neighbours",
        ),
        ("logistic-regression", f"{_SKLEARN}:logistic_regression", "multinomial logistic regression"),
        ("lda", f"{_SKLEARN}:lda", "linear discriminant analysis with shrinkage"),
        ("gaussian-nb", f"{_SKLEARN}:gaussian_nb", "naive Bayes with normal distributions"),
        ("knn", f"{_SKLEARN}:knn", "k nearest neighbours"),
        ("random-forest", f"{_SKLEARN}:random_forest", "random forest"),
        ("hist-gradient-boosting", f"{_SKLEARN}:hist_gradient_boosting", "gradient boosting of trees"),
        (
            "voting",
            "ferbench.classifiers.ensembles:voting",
            "mean of several classifiers: voting(of=[linear-svm, knn])",
        ),
        (
            "stacking",
            "ferbench.classifiers.ensembles:stacking",
            "a classifier of several others' probabilities: stacking(of=[linear-svm, knn])",
        ),
        (
            "mini-xception",
            "ferbench.classifiers.keras.adapter:mini_xception",
            "separable residual CNN, 58 k parameters",
            "deep",
            "keras",
        ),
        (
            "se-resnet",
            "ferbench.classifiers.keras.adapter:se_resnet",
            "residual squeeze-excite CNN of chosen width and depth",
            "deep",
            "keras",
        ),
        *(
            (name, f"ferbench.classifiers.keras.adapter:{name.replace('-', '_')}", summary, "deep", "keras")
            for name, summary in (
                ("lenet", "LeNet-5, 169 k parameters"),
                ("vgg", "small VGG of chosen width and depth"),
                ("resnet", "ResNet-20, or of chosen width and depth"),
                ("keras-cnn", "Keras' example CNN, after Sonawane and Athawale"),
                ("emosense-4l", "EmoSense CNN, 2 convolutions"),
                ("emosense-8l", "EmoSense CNN, 4 convolutions, 4.2 M parameters"),
                ("emosense-10l", "EmoSense CNN, 6 convolutions"),
                ("krishna-cnn", "CNN of 4 convolutions and batch norms, 4.5 M parameters"),
                ("report-cnn", "CNN of 5 convolutions and batch norms, 4.5 M parameters"),
                ("wavelet-cnn", "CNN on the wavelet transform of the face"),
                ("plain-cnn", "the same CNN without the transform"),
                ("transfer", "ImageNet network of keras.applications under a new last layer"),
                ("ensemble", "several networks in one: ensemble(of=[se-resnet, mini-xception])"),
            )
        ),
    ),
    "runtimes": (
        ("sklearn", "ferbench.classifiers.runtimes.sklearn:SklearnRuntime", "scikit-learn's own prediction"),
        (
            "keras",
            "ferbench.classifiers.runtimes.keras:KerasRuntime",
            "compiled Keras call (never predict)",
            "deep",
            "keras",
        ),
        (
            "litert",
            "ferbench.classifiers.runtimes.litert:LiteRTRuntime",
            "LiteRT (TensorFlow Lite) interpreter",
        ),
        (
            "onnx",
            "ferbench.classifiers.runtimes.onnx:OnnxRuntime",
            "ONNX Runtime",
            "onnx",
            "onnxruntime",
        ),
        (
            "opencv",
            "ferbench.classifiers.runtimes.opencv:OpenCVRuntime",
            "OpenCV's own inference (cv2.dnn)",
            "onnx",
            "onnx",
        ),
    ),
    "datasets": (
        (
            "fer2013",
            "ferbench.datasets.fer2013:FER2013",
            "35,887 faces from the web, 48×48 gray, 7 expressions",
        ),
        ("ferplus", "ferbench.datasets.ferplus:FERPlus", "FER2013's images with ten annotators' votes each"),
        (
            "ckplus",
            "ferbench.datasets.ckplus:CKPlus",
            "CK+, posed expressions of 118 subjects, 7 with contempt",
        ),
        ("rafdb", "ferbench.datasets.rafdb:RAFDB", "RAF-DB, faces in the wild, 7 basic expressions"),
        ("affectnet", "ferbench.datasets.affectnet:AffectNet", "AffectNet, faces in the wild, 8 expressions"),
        (
            "images",
            "ferbench.datasets.images:ImageTree",
            "any <class>/<image> folder or zip: images(path=...)",
        ),
        (
            "lfw-emotions",
            "ferbench.datasets.images:LFWEmotions",
            "LFW photographs with expression labels, 350×350, noisy labels",
        ),
        (
            "synthetic",
            "ferbench.datasets.synthetic:SyntheticFaces",
            "built-in generated faces, no download needed",
        ),
    ),
}


@cache
def entries(group: str) -> Mapping[str, Entry]:
    """Every registered component of a kind, by name, built-ins first. Imports no component.

    Raises
    ------
    ParameterError
        If a plugin claims a name that is taken.
    """
    if group not in GROUPS:
        raise UnknownNameError("kind of component", group, GROUPS)
    table = {}
    for name, target, summary, *rest in _BUILT_IN[group]:
        extra, needs = (rest[0], rest[1]) if rest else (None, "")
        table[name] = Entry(group, name, target, summary, extra, needs=needs)
    for point in entry_points(group=f"ferbench.{group}"):
        package = point.dist.name if point.dist else "unknown package"
        if point.name in table:
            raise ParameterError(
                f"two packages register the {group[:-1]} {point.name!r}",
                got=f"{table[point.name].package} and {package}",
                fix="rename or uninstall one of them",
            )
        table[point.name] = Entry(group, point.name, point.value, f"plugin from {package}", None, package)
    return table


def entry(group: str, name: str) -> Entry:
    """The component of that name; unknown names are errors with suggestions."""
    table = entries(group)
    if name not in table:
        raise UnknownNameError(group[:-1], name, table)
    return table[name]


def create(group: str, spec: str | Spec, **defaults: Any) -> Any:
    """Make the component that a spec names.

    Parameters
    ----------
    group : str
        One of :data:`GROUPS`.
    spec : str or Spec
        ``"haar(min_size=60)"``.
    **defaults
        Parameters used where the spec does not set them and the component has them.

    Raises
    ------
    UnknownNameError
        Unknown component or parameter, with the nearest known names.
    ParameterError
        No flag where there is to be one, or no seed.
    MissingDependencyError
        A package of an extra is not installed.
    """
    spec = parse_spec(spec)
    factory = entry(group, spec.name).load()
    parameters = inspect.signature(factory).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    unknown = [name for name in spec.params if name not in parameters]
    if unknown and not takes_any:
        raise UnknownNameError(f"parameter of {group[:-1]} {spec.name!r}:", unknown[0], parameters)
    for name, value in spec.params.items():
        if name in parameters:
            _check_type(name, value, str(parameters[name].annotation))
    extra = {k: v for k, v in defaults.items() if k in parameters and k not in spec.params}
    return factory(**extra, **spec.params)


def _check_type(name: str, value: object, annotation: str) -> None:
    """Refuse what every component would misread: any word is true where a flag is asked for."""
    if annotation in ("bool", "<class 'bool'>"):
        check_flag(name, value)
    if name in ("random_state", "seed") and annotation in ("int", "<class 'int'>"):
        check_integer(name, value, 0, 2**32 - 1)


def check_values(component: object) -> None:
    """Have a component look at its parameters' values before it is used.

    By its own ``check_parameters()``, where it has one; a scikit-learn estimator by scikit-learn's constraints.

    Raises
    ------
    ParameterError
        A value cannot be.
    """
    if hasattr(component, "check_parameters"):
        component.check_parameters()
    elif hasattr(component, "_parameter_constraints") and hasattr(component, "_validate_params"):
        try:
            component._validate_params()
        except ValueError as error:
            what = f"{type(component).__name__} has a parameter that cannot be"
            raise ParameterError(what, got=str(error)) from error
