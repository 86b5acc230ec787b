import pytest

from ferbench.errors import ParameterError, UnknownNameError
from ferbench.pipelines import make_pipeline, parse_pipeline_id, presets


@pytest.mark.parametrize(
    ("text", "identity", "family"),
    [
        ("haar/lbp(grid=7)/linear-svm", "haar/lbp(grid=7)/linear-svm@sklearn", "classical"),
        ("mini-xception", "whole-image/mini-xception@keras", "deep"),
        ("haar/mini-xception(epochs=2)@litert", "haar/mini-xception(epochs=2)@litert", "deep"),
        ("hog/linear-svm", "whole-image/hog/linear-svm@sklearn", "classical"),
        ("haar/linear-svm", "haar/pixels/linear-svm@sklearn", "classical"),
        ("majority", "whole-image/pixels/majority@sklearn", "baseline"),
        ("haar/pca(of='hog(cell=6)')/knn", "haar/pca(of=hog(cell=6))/knn@sklearn", "classical"),
    ],
)
def test_an_id_is_completed_and_stable(text: str, identity: str, family: str) -> None:
    parts = parse_pipeline_id(text)
    assert parts.id == identity
    assert parts.family == family
    assert parse_pipeline_id(parts.id) == parts


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("haar/lpb/linear-svm", UnknownNameError, "did you mean 'lbp'"),
        ("harr/lbp/linear-svm", UnknownNameError, "did you mean 'haar'"),
        ("haar/lbp/linear-smv", UnknownNameError, "did you mean 'linear-svm'"),
        ("haar/lbp/linear-svm@litert", ParameterError, "expected sklearn"),
        ("mini-xception@sklearn", ParameterError, "expected keras, litert, onnx or opencv"),
        ("haar/lbp/mini-xception", ParameterError, "takes crops, not features"),
        ("a/b/c/d", ParameterError, "not a pipeline"),
        ("", ParameterError, "not a"),
        ("hog@sklearn@litert", ParameterError, "not a pipeline"),
    ],
)
def test_a_wrong_id_says_what_is_wrong(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        parse_pipeline_id(text)


def test_every_preset_parses_and_has_a_title() -> None:
    assert {"haar-lbp-svm", "dlib-hog-svm", "pca-svm", "haar-mini-xception", "majority"} <= set(presets())
    for preset in presets().values():
        assert parse_pipeline_id(preset.pipeline).id == preset.pipeline
        assert preset.title


def test_make_pipeline_takes_parts_ids_presets_and_keywords() -> None:
    wanted = "haar/lbp(grid=7)/linear-svm@sklearn"
    assert make_pipeline("haar", "lbp(grid=7)", "linear-svm").id == wanted
    assert make_pipeline("haar/lbp(grid=7)/linear-svm").id == wanted
    assert make_pipeline("haar-lbp-svm").id == wanted
    assert make_pipeline(detector="haar", features="lbp(grid=7)", classifier="linear-svm").id == wanted
    assert make_pipeline("haar-lbp-svm", detector="dlib-hog").id == wanted.replace("haar", "dlib-hog")
    assert make_pipeline("haar-lbp-svm", classifier="mini-xception").id == "haar/mini-xception@keras"
    with pytest.raises(ParameterError, match="needs a classifier"):
        make_pipeline(detector="haar")
