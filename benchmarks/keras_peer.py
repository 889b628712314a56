"""The reference architecture built from Keras' own ConvLSTM2D: what one would write without this project.

No peepholes, and an output convolution that is not causal: neither can be had from stock layers. Filters,
kernels, normalisation and activations are the reference's.
"""

from __future__ import annotations

from typing import Any

import keras

from core.model import ModelConfig


def keras_model(config: ModelConfig, time: int | None) -> Any:
    """(batch, time, canvas, canvas, 1) -> the same shape; `time` None takes clips of any length."""
    if config.patch != 1:
        raise ValueError(f"stock layers have no patches; got a configuration with patch {config.patch}")
    frames = keras.Input((time, config.canvas, config.canvas, 1))
    x = frames
    for filters, side in zip(config.filters, config.kernels, strict=True):
        x = keras.layers.ConvLSTM2D(filters, side, padding="same", return_sequences=True)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    predictions = keras.layers.Conv3D(1, 3, padding="same", activation="sigmoid")(x)
    return keras.Model(frames, predictions)
