"""Every network by its registry name. Each takes gray crops (N, h, w, 1) float32 with values 0..255."""

from __future__ import annotations

from collections.abc import Callable

import keras

from ferbench.classifiers.keras.ensemble import ensemble_of
from ferbench.classifiers.keras.families import lenet, resnet, vgg
from ferbench.classifiers.keras.literature import (
    emosense_4l,
    emosense_8l,
    emosense_10l,
    keras_cnn,
    krishna_cnn,
    report_cnn,
)
from ferbench.classifiers.keras.networks import mini_xception, se_resnet
from ferbench.classifiers.keras.transfer import transfer
from ferbench.classifiers.keras.wavelet import plain_cnn, wavelet_cnn

__all__ = ["NETWORKS"]

NETWORKS: dict[str, Callable[..., keras.Model]] = {
    "mini-xception": mini_xception,
    "se-resnet": se_resnet,
    "lenet": lenet,
    "vgg": vgg,
    "resnet": resnet,
    "keras-cnn": keras_cnn,
    "emosense-4l": emosense_4l,
    "emosense-8l": emosense_8l,
    "emosense-10l": emosense_10l,
    "krishna-cnn": krishna_cnn,
    "report-cnn": report_cnn,
    "wavelet-cnn": wavelet_cnn,
    "plain-cnn": plain_cnn,
    "transfer": transfer,
}
NETWORKS["ensemble"] = ensemble_of(dict(NETWORKS))
"""Builders by registry name: ``(shape, n_classes, **parameters) -> keras.Model``."""
