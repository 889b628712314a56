"""Whole networks: shapes, causality, saving, and the same numbers from both backends."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from core.inference import Predictor
from core.model import CONFIGS, ModelConfig, Network, build_model
from tests.on_jax import computed_on_jax

ROOT = Path(__file__).resolve().parents[2]
SMALL = ModelConfig("small", filters=(4, 3), kernels=(3, 1), canvas=16)
FOLDED = ModelConfig("folded", filters=(4, 3), kernels=(3, 3), patch=4, peepholes="channel", canvas=16)

# coarser and back, beside what was last on the finer grid; matched, moved, and painted
SCALED = replace(
    FOLDED,
    name="scaled",
    filters=(4, 8, 4),
    kernels=(3, 3, 1),
    scales=(1, 2, 1),
    motions=2,
    reach=3,
    match=(1, 3),
    encode=(1, 2, 4),
    coarse=(4,),
    others=True,
)


def randomised(model, seed=0):
    """Every variable away from its start, so that peepholes and normalisation take part."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:  # of a model, or of a network
        low, high = (0.5, 1.5) if "variance" in variable.path or "gamma" in variable.path else (-0.4, 0.4)
        variable.assign(rng.uniform(low, high, variable.shape))
    return model


def clip(time, side=16, batch=1, seed=3):
    return np.random.default_rng(seed).uniform(size=(batch, time, side, side, 1)).astype(np.float32)


def test_reference_is_the_described_architecture():
    model = build_model(CONFIGS["reference"])
    assert model.input_shape == (None, 19, 64, 64, 1)
    assert model.output_shape == (None, 19, 64, 64, 1)
    shapes = {variable.path: tuple(variable.shape) for variable in model.variables}
    assert [shapes[f"convlstm_{n}/recurrent_kernel"][:2] for n in (1, 2, 3)] == [(5, 5), (3, 3), (1, 1)]
    assert [shapes[f"convlstm_{n}/peephole_i"] for n in (1, 2, 3)] == [(64, 64, 64)] * 3
    assert shapes["head/kernel"] == (3, 3, 3, 64, 1)
    assert sum("moving_variance" in path for path in shapes) == 3


def test_fast_sees_a_sixteenth_of_the_pixels():
    shapes = {variable.path: tuple(variable.shape) for variable in build_model(CONFIGS["fast"]).variables}
    # pixels, where they were, and where two motions may take them
    assert shapes["convlstm_1/kernel"][2] == 4 * 4 + 2 * 15 + 2 * 25 + 2 * 2 * 15
    # displacements since 1, 2, 3, 4 frames, every second one since 6 and 8, and the place
    assert shapes["encoder/kernel"][0] == 15 + 17 + 25 + 33 + 25 + 33 + 64
    assert shapes["convlstm_1/peephole_o"] == (64,)
    assert shapes["head/kernel"] == (3, 3, 3, 64, 16)


@pytest.mark.parametrize("config", [SMALL, FOLDED, SCALED])
@pytest.mark.parametrize("target", [1, 3, 6])
def test_causality_to_the_last_bit(config, target):
    """Perturb frame t+1: predictions of frames up to t+1 must not move by a single bit."""
    model = randomised(build_model(config, 7))
    frames = clip(7)
    perturbed = frames.copy()
    perturbed[:, target] = 1 - perturbed[:, target]
    before, after = (np.asarray(model(x, training=False)) for x in (frames, perturbed))
    # prediction k is of frame k + 1, so predictions 0 .. target - 1 are of frames 1 .. target
    np.testing.assert_array_equal(before[:, :target], after[:, :target])
    assert (before[:, target] != after[:, target]).any()


def test_a_layer_on_a_coarser_grid_has_fewer_cells_and_the_next_sees_both_grids():
    cells = [(4, 4, 4), (2, 2, 8), (4, 4, 4)]
    states = [shape for shape in cells for _ in "HC"]
    assert Network(SCALED).state_shapes() == [*states, (2, 4, 4, 16), (4, 16, 16, 1)]  # earlier frames, last
    shapes = {variable.path: tuple(variable.shape) for variable in build_model(SCALED, 2).variables}
    assert (
        shapes["convlstm_1/kernel"][2] == 16 + 2 * 7 + 2 * 25 + 2 * 2 * 7
    )  # pixels, where they were, and may go
    assert shapes["convlstm_2/kernel"][2] == 4 * 4  # the four cells of each
    assert shapes["convlstm_3/kernel"][2] == 8 // 4 + 4  # unfolded, beside the first layer's


@pytest.mark.parametrize("config", [SMALL, FOLDED, SCALED])
def test_the_leaking_head_fails_the_causality_test(config):
    model = randomised(build_model(replace(config, head="leaky"), 7))
    frames = clip(7)
    perturbed = frames.copy()
    perturbed[:, 3] = 1 - perturbed[:, 3]
    before, after = (np.asarray(model(x, training=False)) for x in (frames, perturbed))
    assert (before[:, 2] != after[:, 2]).any()  # the prediction of frame 3 has seen frame 3


@pytest.mark.parametrize("config", [SMALL, FOLDED, SCALED])
def test_stepping_with_the_state_gives_the_clip_model(config):
    network = Network(config)
    whole = randomised(network.training_model(6))
    step = network.stateful_model(1)
    frames = clip(6, batch=2)
    states = [keras.ops.zeros((2, *shape)) for shape in network.state_shapes()]
    outputs = []
    for time in range(6):
        now = keras.ops.convert_to_tensor(frames[:, time : time + 1])
        prediction, *states = step([now, *states], training=False)
        outputs.append(np.asarray(prediction))
    expected = np.asarray(whole(frames, training=False))
    np.testing.assert_allclose(np.concatenate(outputs, axis=1), expected, atol=1e-5)


@pytest.mark.parametrize("config", [SMALL, FOLDED, SCALED])
def test_save_load_same_output(tmp_path, config):
    model = randomised(build_model(config, 4))
    frames = clip(4)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(np.asarray(loaded(frames)), np.asarray(model(frames)))


def test_mixed_precision_predicts_probabilities_in_float32():
    model = Network(FOLDED, "mixed_bfloat16").training_model(3)
    prediction = np.asarray(model(clip(3)))
    assert prediction.dtype == np.float32
    assert prediction.min() > 0
    assert prediction.max() < 1


def predictions():
    """Of networks whose weights are the same on every backend."""
    predictors = [Predictor(Network(config)) for config in (SMALL, FOLDED, SCALED)]
    for predictor in predictors:
        randomised(predictor.network)
    return [predictor.next_frames(clip(6)) for predictor in predictors]


@pytest.mark.slow
def test_tensorflow_and_jax_give_the_same_numbers(tmp_path):
    assert keras.backend.backend() == "tensorflow"
    on_jax = computed_on_jax("tests.core.test_model", "predictions", tmp_path)
    # what matches frames sums squared differences on JAX; on TensorFlow their parts, which cancel in part
    for tensorflow, jax, rounding in zip(predictions(), on_jax, (1e-5, 1e-5, 4e-5), strict=True):
        np.testing.assert_allclose(tensorflow, jax, atol=rounding)


def test_leaky_network_has_no_stateful_form():
    with pytest.raises(ValueError, match="needs the future"):
        Network(replace(SMALL, head="leaky")).stateful_model(1)


def test_time_must_be_positive():
    with pytest.raises(ValueError, match="time must be 1 or more; got 0"):
        build_model(SMALL, 0)
