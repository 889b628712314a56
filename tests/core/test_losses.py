"""Losses against values worked out by hand, their gradients against finite differences, and both backends."""

import math
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops
from scipy.ndimage import gaussian_filter

from core import losses
from core.losses import (
    DEFAULT_WEIGHTS,
    PARTS,
    CompositeLoss,
    GradientDifference,
    Perceptual,
    binary_cross_entropy,
    checked_weights,
    gradient_difference,
    log_mean_squared_error,
    mean_squared_error,
    perceptual,
)
from core.moving_mnist import benchmark_clips, to_frames
from tests.core.test_features import plain_vgg16
from tests.on_jax import computed_on_jax

ROOT = Path(__file__).resolve().parents[2]


def frames(pixels):
    """A frame (height, width) as one clip of one frame."""
    return np.asarray(pixels, "float32")[None, None, ..., None]


def random_frames(*shape, seed=0):
    """Frames (batch, time, height, width, 1), values 0.1 to 0.9."""
    return np.random.default_rng(seed).uniform(0.1, 0.9, (*shape, 1)).astype("float32")


def value(tensor):
    return ops.convert_to_numpy(tensor)


def gradient(function, predictions):
    """Gradient of the summed clips by the predictions, on the backend in use."""
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.jit(jax.grad(lambda x: ops.sum(function(x))))(predictions))
    import tensorflow as tf

    x = tf.constant(predictions)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(function(x))
    return tape.gradient(loss, x, unconnected_gradients=tf.UnconnectedGradients.ZERO).numpy()


@pytest.fixture(scope="module")
def digits():
    """Standard clips, (2, 3, 64, 64, 1)."""
    return to_frames(benchmark_clips(0, 2, frames=3))[..., None]


def blurred(clip, sigma):
    return gaussian_filter(clip, (0, 0, sigma, sigma, 0))


ALL = {
    "bce": binary_cross_entropy,
    "perceptual": perceptual,
    "gdl": gradient_difference,
    "gdl of 2": lambda truth, predictions: gradient_difference(truth, predictions, alpha=2),
}
every_loss = pytest.mark.parametrize("loss", ALL.values(), ids=ALL)


class TestBinaryCrossEntropy:
    def test_by_hand(self):
        truth = np.concatenate([frames([[1, 0]]), frames([[1, 1]])])
        predictions = np.concatenate([frames([[0.25, 0.25]]), frames([[0.5, 1]])])
        expected = [(math.log(4) - math.log(0.75)) / 2, math.log(2) / 2]
        np.testing.assert_allclose(value(binary_cross_entropy(truth, predictions)), expected, rtol=1e-5)

    def test_it_is_the_loss_of_keras(self, digits):
        keras_loss = keras.losses.BinaryCrossentropy()(digits, blurred(digits, 1))
        ours = value(binary_cross_entropy(digits, blurred(digits, 1))).mean()
        np.testing.assert_allclose(ours, value(keras_loss), rtol=1e-5)

    def test_zero_at_equality_of_black_and_white(self):
        truth = frames([[0, 1], [1, 0]])
        assert 0 <= value(binary_cross_entropy(truth, truth))[0] < 2e-7


class TestGradientDifference:
    def test_by_hand(self):
        # steps along rows: truth 1 and 1, prediction 0.5 and 0.75
        # steps from row to row: truth 0 and 0, prediction 0 and 0.25
        truth, prediction = frames([[0, 1], [0, 1]]), frames([[0, 0.5], [0, 0.75]])
        np.testing.assert_allclose(value(gradient_difference(truth, prediction)), [0.375 + 0.125])
        squared = (0.25 + 0.0625) / 2 + 0.0625 / 2
        np.testing.assert_allclose(value(gradient_difference(truth, prediction, alpha=2)), [squared])
        power = (0.5**1.5 + 0.25**1.5) / 2 + 0.25**1.5 / 2
        np.testing.assert_allclose(value(gradient_difference(truth, prediction, 1.5)), [power], rtol=1e-6)

    def test_equation_pixel_by_pixel(self):
        truth, predictions = random_frames(2, 3, 5, 4), random_frames(2, 3, 5, 4, seed=1)
        expected = []
        for y, p in zip(truth[..., 0].astype(float), predictions[..., 0].astype(float), strict=True):
            down = [
                abs(abs(y[t, i, j] - y[t, i - 1, j]) - abs(p[t, i, j] - p[t, i - 1, j]))
                for t in range(3)
                for i in range(1, 5)
                for j in range(4)
            ]
            right = [
                abs(abs(y[t, i, j - 1] - y[t, i, j]) - abs(p[t, i, j - 1] - p[t, i, j]))
                for t in range(3)
                for i in range(5)
                for j in range(1, 4)
            ]
            expected.append(np.mean(down) + np.mean(right))
        np.testing.assert_allclose(value(gradient_difference(truth, predictions)), expected, rtol=1e-5)

    @pytest.mark.parametrize("alpha", [1, 2])
    @pytest.mark.parametrize(("height", "width"), [(2, 2), (8, 8), (16, 64), (7, 5)])
    def test_size_of_the_frame_does_not_matter(self, height, width, alpha):
        board = np.indices((height, width)).sum(axis=0) % 2
        grey = np.full_like(board, 0.5, dtype=float)
        np.testing.assert_allclose(value(gradient_difference(frames(board), frames(grey), alpha)), [2.0])

    def test_only_the_size_of_a_step_counts(self, digits):
        np.testing.assert_allclose(value(gradient_difference(digits, 1 - digits)), 0, atol=1e-6)

    @pytest.mark.parametrize("alpha", [1.0, 1.001, 1.5, 2.0, 3.0])
    def test_gradient_at_equality_is_zero(self, digits, alpha):
        slope = gradient(lambda x: gradient_difference(digits, x, alpha), digits)
        np.testing.assert_array_equal(slope, 0)

    @pytest.mark.parametrize("alpha", [0.99, 0, -1, math.nan, math.inf])
    def test_alpha_below_one_is_refused(self, alpha):
        with pytest.raises(ValueError, match=f"alpha must be a finite number of 1 or more; got {alpha}"):
            gradient_difference(frames([[0, 1], [0, 1]]), frames([[0, 1], [0, 1]]), alpha)
        with pytest.raises(ValueError, match="alpha must be"):
            CompositeLoss(alpha=alpha)

    def test_a_frame_without_neighbours_is_refused(self):
        with pytest.raises(ValueError, match=r"frames of 2 x 2 pixels or more; got \(1, 1, 1, 2, 1\)"):
            gradient_difference(frames([[0, 1]]), frames([[0, 1]]))


class TestPerceptual:
    def test_it_is_the_mean_squared_distance_of_features(self, digits):
        features = losses.vgg16_features
        for layer in ("conv1_2", "conv2_2"):
            seen, predicted = value(features(digits, layer)), value(features(blurred(digits, 1), layer))
            expected = np.mean((seen - predicted).reshape(2, -1) ** 2, axis=1)
            measured = value(perceptual(digits, blurred(digits, 1), layer))
            np.testing.assert_allclose(measured, expected, rtol=1e-4)

    def test_size_of_the_frame_hardly_matters(self):
        """Only the border, one pixel a convolution wide, tells a large frame from a small one."""
        board = np.indices((32, 32)).sum(axis=0) // 4 % 2
        small = value(perceptual(frames(board), frames(0.5 * board)))
        large = value(perceptual(frames(np.tile(board, (3, 3))), frames(np.tile(0.5 * board, (3, 3)))))
        np.testing.assert_allclose(large, small, rtol=0.1)

    def test_no_gradient_reaches_the_truth(self, digits):
        np.testing.assert_array_equal(gradient(lambda x: perceptual(x, 0.5 + 0 * digits), digits), 0)

    def test_what_bfloat16_changes(self, digits):
        """What its docstring says of a trained network's predictions, at a blur of as large an error."""
        predictions = blurred(digits, 1.5)
        exact = value(perceptual(digits, predictions))
        np.testing.assert_allclose(value(perceptual(digits, predictions, dtype="bfloat16")), exact, rtol=0.01)
        slope, rounded = (
            gradient(lambda x, dtype=dtype: perceptual(digits, x, dtype=dtype), predictions).ravel()
            for dtype in ("float32", "bfloat16")
        )
        lengths = np.linalg.norm(slope), np.linalg.norm(rounded)
        assert slope @ rounded / (lengths[0] * lengths[1]) > 0.95
        assert abs(lengths[1] / lengths[0] - 1) < 0.03


class TestEveryLoss:
    @every_loss
    def test_one_float32_a_clip_whatever_comes_in(self, loss, digits):
        exact = value(loss(digits, blurred(digits, 1)))
        assert exact.shape == (2,)
        for dtype in ("bfloat16", "float16", "float64"):
            truth, predictions = (ops.cast(x, dtype) for x in (digits, blurred(digits, 1)))
            result = loss(truth, predictions)
            assert keras.backend.standardize_dtype(result.dtype) == "float32"
            np.testing.assert_allclose(value(result), exact, rtol=0.03)

    @every_loss
    def test_clips_do_not_mix(self, loss, digits):
        both = value(loss(digits, blurred(digits, 1)))
        alone = value(loss(digits[1:], blurred(digits, 1)[1:]))
        np.testing.assert_allclose(both[1:], alone, rtol=1e-5)

    @every_loss
    def test_a_clip_played_twice_scores_the_same(self, loss, digits):
        twice = [np.concatenate([x, x], axis=1) for x in (digits, blurred(digits, 1))]
        np.testing.assert_allclose(value(loss(*twice)), value(loss(digits, blurred(digits, 1))), rtol=1e-5)

    @pytest.mark.parametrize("name", ["perceptual", "gdl", "gdl of 2"])
    def test_zero_at_equality(self, name, digits):
        np.testing.assert_array_equal(value(ALL[name](digits, digits)), 0)

    @every_loss
    def test_a_stronger_blur_is_worse(self, loss, digits):
        scores = [value(loss(digits, blurred(digits, sigma))) for sigma in (0.5, 1, 2, 4)]
        assert np.all(np.diff(scores, axis=0) > 0)

    @pytest.mark.parametrize("name", ["perceptual", "gdl", "gdl of 2"])
    def test_at_equal_squared_error_the_sharp_one_is_better(self, name, digits):
        """A blur and a dimmed but sharp copy that are equally wrong by MSE: the reason for these losses."""
        blur = blurred(digits, 1)
        dimming = np.sqrt(np.mean((digits - blur) ** 2) / np.mean(digits**2))
        sharp = ((1 - dimming) * digits).astype("float32")
        np.testing.assert_allclose(np.mean((digits - sharp) ** 2), np.mean((digits - blur) ** 2), rtol=1e-4)
        assert np.all(value(ALL[name](digits, sharp)) < 0.9 * value(ALL[name](digits, blur)))

    @every_loss
    def test_finite_at_exactly_0_and_1(self, loss):
        truth, wrong = frames(np.eye(8)), frames(1 - np.eye(8))
        for predictions in (truth, wrong):
            assert np.isfinite(value(loss(truth, predictions))).all()
            assert np.isfinite(gradient(lambda x: loss(truth, x), predictions)).all()

    @pytest.mark.parametrize("name", ["bce", "gdl", "gdl of 2"])
    def test_gradient_of_each_pixel_against_finite_differences(self, name):
        # levels that no two pixels share: no step is near zero, where the size of a step has a kink
        levels = np.random.default_rng(3).permutation(np.linspace(0.1, 0.9, 16)).reshape(4, 4)
        truth, predictions = frames(np.random.default_rng(4).random((4, 4)).round()), frames(levels)
        step, expected = 0.004, np.zeros(16)
        for n in range(16):
            nudge = np.zeros(16, "float32")
            nudge[n] = step
            above, below = (predictions + sign * nudge.reshape(predictions.shape) for sign in (1, -1))
            rise = value(ALL[name](truth, above)) - value(ALL[name](truth, below))
            expected[n] = rise[0] / (2 * step)
        slope = gradient(lambda x: ALL[name](truth, x), predictions).ravel()
        np.testing.assert_allclose(slope, expected, rtol=0.01, atol=1e-4)

    def test_gradient_of_each_pixel_of_perceptual_against_finite_differences(self):
        """Of the network written out in float64, so small that they meet no kink of ReLU or pooling."""
        truth, predictions = random_frames(1, 1, 6, 7), random_frames(1, 1, 6, 7, seed=1)
        seen, step = plain_vgg16(truth[0, 0]), 1e-6
        expected = {layer: np.zeros((6, 7)) for layer in seen}
        for pixel in np.ndindex(6, 7):
            for sign in (1, -1):
                nudged = predictions[0, 0].astype(np.float64)
                nudged[pixel] += sign * step
                for layer, features in plain_vgg16(nudged).items():
                    expected[layer][pixel] += sign * np.mean((features - seen[layer]) ** 2) / (2 * step)
        for layer, slope in expected.items():
            measured = gradient(lambda x, layer=layer: perceptual(truth, x, layer), predictions)[0, 0, ..., 0]
            np.testing.assert_allclose(measured, slope, rtol=1e-3, atol=1e-4 * np.abs(slope).max())

    @every_loss
    @pytest.mark.parametrize(
        ("truth", "predictions"),
        [
            ((1, 2, 8, 8, 1), (1, 2, 8, 9, 1)),
            ((2, 8, 8, 1), (2, 8, 8, 1)),
            ((1, 2, 8, 8, 3), (1, 2, 8, 8, 3)),
        ],
    )
    def test_other_shapes_are_refused(self, loss, truth, predictions):
        with pytest.raises(ValueError, match=r"must have one shape, \(batch, time, height, width, 1\); got"):
            loss(np.zeros(truth, "float32"), np.zeros(predictions, "float32"))


class TestMeanSquaredError:
    def test_by_hand(self):
        truth, predictions = frames([[0, 1], [0.5, 1]]), frames([[0.5, 1], [0.5, 0]])
        np.testing.assert_allclose(value(mean_squared_error(truth, predictions)), [(0.25 + 1) / 4])

    def test_is_a_part_of_the_composite(self):
        truth, predictions = random_frames(2, 3, 8, 8), random_frames(2, 3, 8, 8, seed=1)
        both = CompositeLoss({"bce": 2.0, "mse": 3.0})(truth, predictions)
        parts = [np.mean(value(f(truth, predictions))) for f in (binary_cross_entropy, mean_squared_error)]
        np.testing.assert_allclose(value(both), 2 * parts[0] + 3 * parts[1], rtol=1e-6)


class TestLogMeanSquaredError:
    def test_by_hand(self):
        truth, predictions = np.zeros((1, 2, 2, 2, 1), np.float32), np.zeros((1, 2, 2, 2, 1), np.float32)
        predictions[0, 1] = 0.1
        expected = (0 + np.log(1 + 0.01 / 1e-6)) / 2  # of an exact frame, and of one off by a tenth
        np.testing.assert_allclose(value(log_mean_squared_error(truth, predictions)), [expected], rtol=1e-5)

    def test_differences_are_those_of_the_mean_psnr(self):
        truth, one, other = (random_frames(1, 4, 8, 8, seed=seed) for seed in range(3))
        decibels = [
            np.mean(10 * np.log10(1 / np.square(truth - other).mean((2, 3, 4)))) for other in (one, other)
        ]
        nats = [value(log_mean_squared_error(truth, predictions))[0] for predictions in (one, other)]
        assert 10 / np.log(10) * (nats[1] - nats[0]) == pytest.approx(decibels[0] - decibels[1], abs=1e-3)


class TestCheckedWeights:
    def test_keeps_what_counts_in_one_order(self):
        assert checked_weights({"gdl": 1, "bce": 2.5, "perceptual": 0}) == {"bce": 2.5, "gdl": 1.0}
        assert list(checked_weights({"gdl": 1, "bce": 2.5})) == ["bce", "gdl"]
        assert checked_weights(DEFAULT_WEIGHTS) == {"bce": 10.0, "perceptual": 0.1, "gdl": 0.1}
        assert set(DEFAULT_WEIGHTS) < set(PARTS)

    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            ({"magic": 1}, "^loss must be made of bce, mse, log_mse, perceptual, gdl; got magic$"),
            ({"bce": 1, "a": 1, "b": 0}, "; got a, b$"),
            ({}, "^loss must be made of bce, mse, log_mse, perceptual, gdl; got nothing$"),
            ({"bce": 1, "gdl": -0.1}, "finite numbers of 0 or more; got bce=1, gdl=-0.1$"),
            ({"bce": math.nan}, "finite numbers of 0 or more; got bce=nan$"),
            ({"bce": math.inf}, "finite numbers of 0 or more; got bce=inf$"),
            ({"bce": "ten"}, "finite numbers of 0 or more; got bce=ten$"),
            ({"bce": True}, "finite numbers of 0 or more; got bce=True$"),
            ({"bce": 0, "gdl": 0.0}, "^one loss weight or more must be above 0; got bce=0, gdl=0.0$"),
        ],
    )
    def test_what_cannot_be_is_refused(self, weights, message):
        with pytest.raises(ValueError, match=message):
            checked_weights(weights)

    def test_needs_no_network_library(self):
        code = "import sys, core.loss_weights; print({'keras', 'tensorflow', 'jax'} & set(sys.modules))"
        output = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
        ).stdout
        assert output.strip() == "set()"


class TestKerasLosses:
    def test_weighted_sum_of_the_parts(self, digits):
        predictions = blurred(digits, 1)
        loss = CompositeLoss({"bce": 3, "perceptual": 0.5, "gdl": 2}, alpha=2, layer="conv1_2")
        parts = {name: float(part) for name, part in loss.parts(digits, predictions).items()}
        assert parts == pytest.approx(
            {
                "bce": value(binary_cross_entropy(digits, predictions)).mean(),
                "perceptual": value(perceptual(digits, predictions, "conv1_2")).mean(),
                "gdl": value(gradient_difference(digits, predictions, 2)).mean(),
            },
            rel=1e-5,
        )
        total = 3 * parts["bce"] + 0.5 * parts["perceptual"] + 2 * parts["gdl"]
        assert float(loss(digits, predictions)) == pytest.approx(total, rel=1e-5)
        assert loss.weighted_sum(parts) == pytest.approx(total, rel=1e-5)

    def test_parts_without_a_weight_are_not_computed(self, digits, monkeypatch):
        def never(*_arguments):
            raise AssertionError("computed")

        monkeypatch.setattr(losses, "perceptual", never)
        loss = CompositeLoss({"bce": 1, "perceptual": 0})
        assert list(loss.parts(digits, digits)) == ["bce"]
        assert float(loss(digits, digits)) > 0
        with pytest.raises(AssertionError, match="computed"):
            CompositeLoss()(digits, digits)

    def test_single_losses_are_the_means_of_their_functions(self, digits):
        predictions = blurred(digits, 1)
        for loss, function in (
            (GradientDifference(alpha=2), lambda t, p: gradient_difference(t, p, 2)),
            (Perceptual("conv1_2"), lambda t, p: perceptual(t, p, "conv1_2")),
        ):
            expected = value(function(digits, predictions))
            assert float(loss(digits, predictions)) == pytest.approx(expected.mean(), rel=1e-5)
            weighted = float(loss(digits, predictions, sample_weight=np.array([1.0, 0.0])))
            assert weighted == pytest.approx(expected[0] / 2, rel=1e-5)

    @pytest.mark.parametrize(
        "loss",
        [
            GradientDifference(alpha=1.5),
            Perceptual("conv1_1", perceptual_dtype="bfloat16"),
            CompositeLoss({"bce": 1, "gdl": 2}, alpha=2, layer="conv2_1", perceptual_dtype="bfloat16"),
        ],
    )
    def test_config_round_trip(self, loss):
        again = keras.losses.deserialize(keras.losses.serialize(loss))
        assert type(again) is type(loss)
        assert again.get_config() == loss.get_config()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"weights": {"magic": 1}}, "loss must be made of bce, mse, log_mse, perceptual, gdl; got magic"),
            ({"layer": "conv9"}, "layer must be one of .*; got 'conv9'"),
            ({"perceptual_dtype": "float8"}, "features are computed in float32 or bfloat16; got 'float8'"),
        ],
    )
    def test_what_cannot_be_is_refused_at_once(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            CompositeLoss(**arguments)

    def test_float32_whatever_the_global_type(self, digits):
        expected = float(CompositeLoss()(digits, blurred(digits, 1)))
        keras.config.set_floatx("float16")
        try:
            result = CompositeLoss()(digits, blurred(digits, 1))
        finally:
            keras.config.set_floatx("float32")
        assert keras.backend.standardize_dtype(result.dtype) == "float32"
        assert float(result) == pytest.approx(expected, rel=1e-6)


def trained(steps=12):
    """Losses of a small mixed-precision network trained by Keras' own loop, same weights on every backend."""
    clip = random_frames(2, 3, 16, 16, seed=5)
    layers = [
        keras.layers.Conv3D(4, 3, padding="same", activation="tanh", dtype="mixed_bfloat16"),
        keras.layers.Conv3D(1, 3, padding="same", dtype="mixed_bfloat16"),
        keras.layers.Activation("sigmoid", dtype="float32"),
    ]
    model = keras.Sequential([keras.Input((None, 16, 16, 1)), *layers])
    model.set_weights(
        [0.2 * np.random.default_rng(n).standard_normal(w.shape) for n, w in enumerate(model.weights)]
    )
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=CompositeLoss(perceptual_dtype="bfloat16"))
    return [float(model.train_on_batch(clip, clip.round())) for _ in range(steps)]


def test_keras_trains_on_it_in_mixed_precision():
    history = trained()
    assert np.isfinite(history).all()
    assert history[-1] < 0.9 * history[0]


def results():
    """What every backend must agree on: losses of a training, then each loss and its gradient."""
    truth, predictions = random_frames(2, 3, 16, 16), random_frames(2, 3, 16, 16, seed=1)
    values = [value(loss(truth, predictions)) for loss in ALL.values()]
    slopes = [gradient(lambda x, loss=loss: loss(truth, x), predictions) for loss in ALL.values()]
    return [np.array(trained(steps=3)), *values, *slopes]


@pytest.mark.slow
def test_tensorflow_and_jax_give_the_same_numbers(tmp_path):
    assert keras.backend.backend() == "tensorflow"
    on_jax = computed_on_jax("tests.core.test_losses", "results", tmp_path)
    trainings, *exact = zip(results(), on_jax, strict=True)
    np.testing.assert_allclose(*trainings, rtol=0.02)  # bfloat16: rounded in another order
    for tensorflow, jax in exact:
        np.testing.assert_allclose(tensorflow, jax, rtol=1e-4, atol=1e-4 * np.abs(jax).max())
