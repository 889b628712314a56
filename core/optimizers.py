"""Adam, and Muon for convolutional gates; both with a moving average of the weights that begins with them."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from core.model_shapes import GATES

AVERAGE_WARM_UP_STEPS = 10
CELLS = "convlstm_"  # how the names of ConvLSTM layers begin
MUON_MOMENTUM = 0.95
MUON_UPDATE_RMS = 0.2  # of an entry, what Adam's updates have: so the same rates suit both (Liu et al. 2025)
NEWTON_SCHULZ_STEPS = 5


class _Averaged:
    """A moving average of the weights that begins with them; to be mixed into a Keras optimizer.

    Keras' average is of the first step's weights for the first hundreds of steps. Here the momentum of step t
    is at most t / (t + 10), so that the average is of the last steps from the start.
    """

    iterations: Any
    ema_momentum: float
    use_ema: bool
    _model_variables_moving_average: list[Any]

    def _update_model_variables_moving_average(self, trainable_variables: list[Any]) -> None:
        steps = ops.cast(self.iterations, "float32")
        momentum = ops.minimum(self.ema_momentum, steps / (steps + AVERAGE_WARM_UP_STEPS))
        for variable, average in zip(trainable_variables, self.averages, strict=True):
            average.assign(momentum * average + (1 - momentum) * variable)

    @property
    def averages(self) -> list[Any]:
        """The averaged weights, in the order of the model's trainable variables; empty without an average."""
        return self._model_variables_moving_average if self.use_ema else []


class AveragedAdam(_Averaged, keras.optimizers.Adam):
    """Adam with an average of the weights that begins with them."""


class AveragedMuon(_Averaged, keras.optimizers.Muon):
    """Muon (Jordan et al. 2024) for the kernels of ConvLSTM layers, Adam for all else.

    An update is the momentum with all its singular values made about 1, so that directions with small
    gradients learn as fast as those with large ones. Keras' Muon does so for matrices only. A ConvLSTM's
    kernel (height, width, in, 4 x filters) is four matrices, one a gate, each of (height x width x in,
    filters), so that no gate's gradients drown another's. What has no gates, biases, peepholes and
    normalisation are Adam's, and so is the output convolution, being the last layer, as the method's authors
    advise.
    """

    def __init__(self, learning_rate: float, **kwargs: Any) -> None:
        super().__init__(
            learning_rate,
            weight_decay=None,
            adam_weight_decay=None,
            momentum=MUON_MOMENTUM,
            ns_steps=NEWTON_SCHULZ_STEPS,
            **kwargs,
        )

    def _should_use_adamw(self, variable: Any) -> bool:
        return not (len(variable.shape) == 4 and variable.path.startswith(CELLS))

    def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
        self.assign_add(m, gradient + m * (MUON_MOMENTUM - 1))
        height, width, channels, gates = variable.shape
        rows, columns = height * width * channels, gates // GATES
        ahead = ops.reshape(gradient + MUON_MOMENTUM * m, (rows, GATES, columns))  # Nesterov
        update = self.zeropower_via_newtonschulz5(ops.transpose(ahead, (1, 0, 2)), NEWTON_SCHULZ_STEPS)
        update = ops.reshape(ops.transpose(update, (1, 0, 2)), variable.shape)
        # an orthogonal matrix has entries of rms 1 / sqrt(longer side)
        scale = MUON_UPDATE_RMS * max(rows, columns) ** 0.5
        self.assign_sub(variable, ops.cast(lr * scale, variable.dtype) * update)


OPTIMIZERS = {"adam": AveragedAdam, "muon": AveragedMuon}
