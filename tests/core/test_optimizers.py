"""Adam and Muon with averages."""

import keras
import numpy as np
import pytest

from core.forecast import Trust
from core.motion import MotionHead
from core.optimizers import OPTIMIZERS, AveragedAdam, AveragedMuon


def test_the_average_begins_with_the_weights():
    """With momentum min(m, t / (t + 10)), of the step t from 0."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    optimizer = AveragedAdam(0.1, use_ema=True, ema_momentum=0.3)
    model.compile(optimizer, "mse")
    average, x = 0.0, np.ones((1, 1), np.float32)
    for step in range(6):
        model.train_on_batch(x, 5 * x)
        momentum = min(0.3, step / (step + 10))
        average = momentum * average + (1 - momentum) * float(model.weights[0][0, 0])
        assert float(optimizer.averages[0][0, 0]) == pytest.approx(average, rel=1e-5)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_without_an_average_there_is_none(name):
    optimizer = OPTIMIZERS[name](0.1, use_ema=False)
    optimizer.build([keras.Variable(np.zeros((3, 3, 2, 8), np.float32))])
    assert optimizer.averages == []


class TestMuon:
    def update(self, gradient, rate=0.1):
        with keras.name_scope("convlstm_1"):
            kernel = keras.Variable(np.zeros(gradient.shape, np.float32), name="kernel")
        AveragedMuon(rate).apply([keras.ops.convert_to_tensor(gradient)], [kernel])
        return np.asarray(kernel)

    def gates(self, kernel):
        rows = kernel.reshape(-1, 4, kernel.shape[-1] // 4)
        return [rows[:, gate] for gate in range(4)]

    def test_every_gate_moves_along_all_its_directions_alike(self):
        """Singular values of each gate's update are about rate x 0.2 x sqrt(longer side), all of them."""
        rng = np.random.default_rng(0)
        gradient = rng.normal(size=(3, 3, 4, 4 * 8)).astype(np.float32)
        gradient[..., :8] *= 1e-3  # one gate's gradients are small, and so is one of its directions
        gradient[..., 0] *= 0.1
        for update in self.gates(self.update(gradient)):
            values = np.linalg.svd(update, compute_uv=False) / (0.1 * 0.2 * 36**0.5)
            # five steps of the iteration bring them near 1, not to it
            assert values.min() > 0.6
            assert values.max() < 1.3

    def test_it_goes_down_the_gradient_whatever_its_size(self):
        rng = np.random.default_rng(1)
        gradient = rng.normal(size=(1, 1, 4, 16)).astype(np.float32)
        small, large = self.update(gradient), self.update(100 * gradient)
        np.testing.assert_allclose(small, large, rtol=1e-3, atol=1e-5)
        assert (small * gradient).sum() < 0

    def test_the_update_of_an_entry_is_as_large_as_adams(self):
        gradient = np.random.default_rng(2).normal(size=(5, 5, 16, 64)).astype(np.float32)
        rms = np.sqrt(np.mean(self.update(gradient) ** 2))
        assert rms == pytest.approx(0.1 * 0.2, rel=0.25)

    def test_vectors_and_the_output_convolution_are_adams(self):
        """Adam's first step is the rate, in the direction of the sign."""
        bias, head = keras.Variable([0.0, 0.0]), keras.Variable(np.zeros((3, 3, 3, 1, 1), np.float32))
        gradients = [np.array([2.0, -3.0], np.float32), np.full(head.shape, 0.5, np.float32)]
        AveragedMuon(0.1).apply([keras.ops.convert_to_tensor(g) for g in gradients], [bias, head])
        np.testing.assert_allclose(np.asarray(bias), [-0.1, 0.1], rtol=1e-4)
        np.testing.assert_allclose(np.asarray(head), -0.1, rtol=1e-4)

    @pytest.mark.parametrize(
        ("layer", "shapes"),
        [
            (MotionHead(1, 1, 2, name="motion"), [(1, 1, 2, 2, 3), (1, 1, 4, 4, 1), (1, 1, 4, 4, 1)]),
            (Trust(4, name="trust"), [(4,)]),
        ],
    )
    def test_a_kernel_without_gates_is_adams(self, layer, shapes):
        layer.build(*shapes)
        before = np.asarray(layer.kernel)
        AveragedMuon(0.1).apply([keras.ops.full(layer.kernel.shape, 0.5)], [layer.kernel])
        np.testing.assert_allclose(np.asarray(layer.kernel) - before, -0.1, rtol=1e-4)
