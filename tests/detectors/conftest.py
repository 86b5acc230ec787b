"""A drawn face, and a stand-in for YuNet's model file whose answers are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from ferbench.datasets.synthetic.portrait import draw_portrait
from ferbench.datasets.synthetic.scene import script


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    """(480, 640, 3) drawn face that every frontal detector finds; its box is about (230, 150) to (410, 350)."""
    rng = np.random.default_rng(0)
    image = np.full((480, 640, 3), 90, np.uint8)
    cv2.ellipse(image, (320, 245), (95, 125), 0, 0, 360, (205, 170, 150), -1)
    cv2.ellipse(image, (320, 165), (98, 60), 0, 180, 360, (60, 45, 40), -1)
    for x in (282, 358):
        cv2.ellipse(image, (x, 218), (21, 9), 0, 0, 360, (245, 245, 245), -1)
        cv2.circle(image, (x, 218), 9, (40, 30, 30), -1)
        cv2.ellipse(image, (x, 202), (26, 9), 0, 190, 350, (70, 50, 45), 6)
        cv2.ellipse(image, (x, 224), (26, 16), 0, 200, 340, (150, 115, 100), 3)
    cv2.line(image, (320, 222), (314, 268), (165, 130, 115), 5)
    cv2.ellipse(image, (320, 272), (20, 8), 0, 10, 170, (140, 100, 90), 4)
    cv2.ellipse(image, (320, 308), (36, 12), 0, 0, 360, (150, 70, 75), -1)
    cv2.line(image, (286, 308), (354, 308), (90, 40, 45), 3)
    image = cv2.GaussianBlur(image, (0, 0), 3)
    return np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)


EYES_OF_BLOB = ((-0.5, -0.25), (0.5, 0.25))
"""Where the stand-in sees the eyes of a blob, from the middle of its cell, in sides of the cell."""


@pytest.fixture(scope="session")
def blob_net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX file with YuNet's inputs and outputs that takes red cells of the 32 pixel grid for faces.

    A cell's score is its mean red value, its box twice the cell, its eyes as :data:`EYES_OF_BLOB` says; OpenCV's
    decoding, suppression and padding then work on it as they do on YuNet.
    """
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    nodes, weights, outputs = [], [], []

    def constant(name: str, values: np.ndarray) -> str:
        weights.append(numpy_helper.from_array(values, name))
        return name

    def head(name: str, stride: int, kernel: np.ndarray, bias: np.ndarray) -> None:
        """A convolution over whole cells, as (1, cells, channels)."""
        channels = len(bias)
        inputs = ["input", constant(f"{name}_w", kernel.astype(np.float32)), constant(f"{name}_b", bias)]
        nodes.append(helper.make_node("Conv", inputs, [f"{name}_c"], kernel_shape=[stride] * 2, strides=[stride] * 2))
        nodes.append(helper.make_node("Transpose", [f"{name}_c"], [f"{name}_t"], perm=[0, 2, 3, 1]))
        shape = constant(f"{name}_s", np.array([1, -1, channels], np.int64))
        nodes.append(helper.make_node("Reshape", [f"{name}_t", shape], [name]))
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, None, channels]))

    for stride in (8, 16, 32):
        red = np.zeros((1, 3, stride, stride))
        if stride == 32:
            red[:, 2] = 1 / (255 * stride * stride)  # blue, green, red
        head(f"cls_{stride}", stride, red, np.zeros(1, np.float32))
        head(f"obj_{stride}", stride, red, np.zeros(1, np.float32))
        box = np.array([0.5, 0.5, np.log(2), np.log(2)], np.float32)  # offset of the centre, log of the sides
        head(f"bbox_{stride}", stride, np.zeros((4, 3, stride, stride)), box)
        points = np.array([*EYES_OF_BLOB, (0, 0), (-0.25, 0.5), (0.25, 0.5)], np.float32) + np.float32(0.5)
        head(f"kps_{stride}", stride, np.zeros((10, 3, stride, stride)), points.ravel())
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, "height", "width"])]
    graph = helper.make_graph(nodes, "blobs", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
    path = tmp_path_factory.mktemp("models") / "blobs.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture(scope="session")
def other_net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound ONNX file of a network that detects nothing."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    images = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 32, 32]) for name in ("input", "output")]
    graph = helper.make_graph([helper.make_node("Relu", ["input"], ["output"])], "relu", images[:1], images[1:])
    path = tmp_path_factory.mktemp("models") / "relu.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8), path)
    return path


@pytest.fixture(scope="session")
def profile() -> np.ndarray:
    """(320, 320, 3) generated head, turned by 45 degrees."""
    portrait = script(0, (320, 320), 1, face_share=(0.6, 0.7)).portraits[0]
    image = np.full((320, 320, 3), 120, np.uint8)
    draw_portrait(image, replace(portrait, pose=replace(portrait.pose, yaw=45.0)))
    return image
