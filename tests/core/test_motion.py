"""The motion head: it moves what it sees by whole pixels, paints the rest, and mixes no more than these."""

import keras
import numpy as np
import pytest
from keras import ops

from core.motion import MotionEncoder, MotionHead, sliding_rows

PATCH, REACH, SIDE, CHANNELS = 4, 3, 16, 2
CELLS = SIDE // PATCH


def head(motions=2):
    layer = MotionHead(motions, REACH, PATCH)
    shapes = (None, 1, CELLS, CELLS, CHANNELS), (None, 1, SIDE, SIDE, 1)
    layer.build(*shapes, shapes[1])
    layer.kernel.assign(np.zeros(layer.kernel.shape))
    return layer


def decide(layer, displacements, choice):
    """Set the biases so that every cell proposes these (rows, columns) and every pixel takes one of them."""
    taps = 2 * REACH + 1
    vertical, horizontal = np.zeros((2, layer.motions, taps))
    for n, (down, right) in enumerate(displacements):
        vertical[n, REACH - down] = horizontal[n, REACH - right] = 100
    chosen = np.zeros((PATCH**2, layer.motions + 1))
    chosen[:, choice] = 100
    layer.bias.assign(np.concatenate([part.ravel() for part in (vertical, horizontal, chosen)]))
    return layer


def pictures(seed=0, time=1):
    frames, paint = np.random.default_rng(seed).uniform(size=(2, 1, time, SIDE, SIDE, 1)).astype(np.float32)
    return np.zeros((1, time, CELLS, CELLS, CHANNELS), np.float32), frames, paint


def shifted(picture, down, right):
    """Moved, with 0 coming in from outside."""
    padded = np.pad(picture, REACH)
    rows, columns = REACH - down, REACH - right
    return padded[rows : rows + SIDE, columns : columns + SIDE]


def test_rows_slide_a_kernel():
    rows = np.asarray(sliding_rows(ops.convert_to_tensor([[1.0, 2.0, 3.0]]), 3))
    np.testing.assert_array_equal(rows, [[[1, 2, 3, 0, 0], [0, 1, 2, 3, 0], [0, 0, 1, 2, 3]]])


@pytest.mark.parametrize("displacement", [(0, 0), (1, 0), (0, -2), (-3, 3)])
def test_a_whole_picture_moves_as_decided(displacement):
    features, frames, paint = pictures()
    layer = decide(head(), [(0, 0), displacement], choice=2)
    moved = np.asarray(layer(features, frames, paint))[0, 0, ..., 0]
    np.testing.assert_allclose(moved, shifted(frames[0, 0, ..., 0], *displacement), atol=1e-6)


def test_the_first_choice_is_paint():
    features, frames, paint = pictures(time=2)
    painted = np.asarray(decide(head(), [(1, 1), (2, 2)], choice=0)(features, frames, paint))
    np.testing.assert_allclose(painted, paint, atol=1e-6)


def test_a_doubtful_displacement_is_the_mean_of_the_pictures():
    features, frames, paint = pictures()
    layer = decide(head(1), [(0, 0)], choice=1)
    bias = np.asarray(layer.bias).copy()
    bias[REACH - 1] = bias[REACH]  # down by one is as likely as not at all
    layer.bias.assign(bias)
    picture = frames[0, 0, ..., 0]
    expected = (picture + shifted(picture, 1, 0)) / 2
    np.testing.assert_allclose(np.asarray(layer(features, frames, paint))[0, 0, ..., 0], expected, atol=1e-6)


def test_whatever_is_decided_it_stays_within_what_was_there():
    layer = head(3)
    rng = np.random.default_rng(1)
    layer.kernel.assign(rng.normal(size=layer.kernel.shape))
    layer.bias.assign(rng.normal(size=layer.bias.shape))
    _, frames, paint = pictures()
    features = rng.normal(size=(1, 1, CELLS, CELLS, CHANNELS)).astype(np.float32)
    mixed = np.asarray(layer(features, frames, paint))
    assert mixed.shape == frames.shape
    assert mixed.dtype == np.float32
    assert 0 <= mixed.min() <= mixed.max() <= 1
    np.testing.assert_allclose(np.asarray(layer(features, frames * 0, paint * 0)), 0)


class TestMotionEncoder:
    MARGINS = np.random.default_rng(4).uniform(size=(2, 1, 2, CELLS, CELLS, 11)).astype(np.float32)

    def encoder(self):
        layer = MotionEncoder(2, REACH, hidden=5)
        rows, columns = self.MARGINS
        layer(rows, columns)
        return layer, rows, columns

    def test_rows_and_columns_are_read_alike(self):
        """Turned over its diagonal, a scene has the same displacements, with rows for columns."""
        layer, rows, columns = self.encoder()
        straight = np.asarray(layer(rows, columns))
        turned = np.asarray(layer(columns, rows))
        half = straight.shape[-1] // 2
        np.testing.assert_allclose(straight[..., :half], turned[..., half:], rtol=1e-5)
        assert np.abs(straight[..., :half] - straight[..., half:]).max() > 1e-3

    def test_each_cell_is_two_dense_layers_by_hand(self):
        layer, rows, columns = self.encoder()
        kernel, bias, out_kernel, out_bias = (np.asarray(weight, np.float64) for weight in layer.weights)
        expected = np.maximum(columns[0, 1, 2, 3] @ kernel + bias, 0) @ out_kernel + out_bias
        seen = np.asarray(layer(rows, columns))[0, 1, 2, 3]
        np.testing.assert_allclose(seen[len(seen) // 2 :], expected, rtol=1e-4, atol=1e-6)

    def test_the_head_moves_as_proposed(self):
        """What is added to the logits decides where the head, which knows nothing itself, moves things."""
        layer, taps = head(1), 2 * REACH + 1
        decide(layer, [(0, 0)], 1)  # which is less sure of itself than what is proposed
        features, frames, paint = pictures()
        proposed = np.zeros((1, 1, CELLS, CELLS, 2, taps), np.float32)
        proposed[..., 0, REACH - 2] = proposed[..., 1, REACH + 1] = 200  # down by 2, left by 1
        moved = layer(features, frames, paint, proposed.reshape(1, 1, CELLS, CELLS, -1))
        expected = shifted(frames[0, 0, ..., 0], 2, -1)
        np.testing.assert_allclose(np.asarray(moved)[0, 0, ..., 0], expected, atol=1e-5)

    def test_it_comes_back_from_its_configuration(self):
        layer = MotionEncoder.from_config(MotionEncoder(3, 5, 7).get_config())
        assert (layer.motions, layer.reach, layer.hidden) == (3, 5, 7)

    def test_none_of_its_sizes_may_be_0(self):
        with pytest.raises(ValueError, match="motions, reach and hidden must be 1 or more; got 2, 7 and 0"):
            MotionEncoder(2, 7, 0)


def test_it_comes_back_from_its_configuration():
    layer = MotionHead.from_config(head(3).get_config())
    assert (layer.motions, layer.reach, layer.patch) == (3, REACH, PATCH)


@pytest.mark.parametrize(("motions", "reach"), [(0, 3), (1, 0)])
def test_nothing_to_move_is_refused(motions, reach):
    with pytest.raises(ValueError, match=f"1 or more; got {motions} and {reach}"):
        MotionHead(motions, reach, PATCH)


def test_it_is_saved_with_a_model(tmp_path):
    inputs = [keras.Input(part.shape[1:]) for part in pictures()]
    model = keras.Model(inputs, MotionHead(2, REACH, PATCH)(*inputs))
    model.save(tmp_path / "motion.keras")
    loaded = keras.saving.load_model(tmp_path / "motion.keras")
    parts = list(pictures())
    np.testing.assert_array_equal(np.asarray(loaded(parts)), np.asarray(model(parts)))
