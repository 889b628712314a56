"""The reference architecture built from Keras' own ConvLSTM2D: what one would write without this project.

No peepholes, and an output convolution that is not causal: neither can be had from stock layers. Filters,
kernels, normalisation and activations are the reference's.
"""

from __future__ import annotations

from typing import Any

import keras

from core.model import ModelConfig


def keras_model(config: ModelConfig, time: int | None, dtype: str = "float32") -> Any:
    """(batch, time, canvas, canvas, 1) -> the same shape; `time` None takes clips of any length.

    `dtype` is the policy of the layers. Predictions are float32, as Keras' guide to mixed precision has it.
    """
    if config.patch != 1:
        raise ValueError(f"stock layers have no patches; got a configuration with patch {config.patch}")
    frames = keras.Input((time, config.canvas, config.canvas, 1))
    x = frames
    for filters, side in zip(config.filters, config.kernels, strict=True):
        x = keras.layers.ConvLSTM2D(filters, side, padding="same", return_sequences=True, dtype=dtype)(x)
        x = keras.layers.ReLU(dtype=dtype)(keras.layers.BatchNormalization(dtype=dtype)(x))
    x = keras.layers.Conv3D(1, 3, padding="same", dtype=dtype)(x)
    predictions = keras.layers.Activation("sigmoid", dtype="float32")(x)
    return keras.Model(frames, predictions)
