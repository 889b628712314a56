"""The motion head: it moves what it sees by whole pixels, paints the rest, and mixes no more than these."""

import keras
import numpy as np
import pytest
from keras import ops

from core.motion import Match, MotionCentre, MotionEncoder, MotionHead, cell_windows, sliding_rows

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


def test_windows_hold_a_cell_and_its_surroundings():
    picture = np.arange(16.0).reshape(1, 4, 4)
    windows = np.asarray(cell_windows(ops.convert_to_tensor(picture), 2, 1))
    assert windows.shape == (4, 4, 1, 2, 2)
    np.testing.assert_array_equal(windows[:, :, 0, 0, 0], np.pad(picture[0], 1)[:4, :4])
    np.testing.assert_array_equal(windows[:, :, 0, 1, 1], np.pad(picture[0], 1)[2:, 2:])


def test_windows_that_are_no_whole_cells():
    pictures = np.random.default_rng(0).random((2, 6, 9))
    windows = np.asarray(cell_windows(ops.convert_to_tensor(pictures), 3, 2))
    assert windows.shape == (7, 7, 2, 2, 3)
    around = np.pad(pictures, [(0, 0), (2, 2), (2, 2)])
    for n, row, column in np.ndindex(2, 2, 3):
        expected = around[n, 3 * row : 3 * row + 7, 3 * column : 3 * column + 7]
        np.testing.assert_array_equal(windows[:, :, n, row, column], expected)


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


class TestMatch:
    def scene(self, down, right, reach=REACH):
        """A blot, then the same blot elsewhere; and where `Match` says that each cell came from."""
        first = np.zeros((1, 1, 48, 48, 1), np.float32)
        first[0, 0, 16:32, 16:32, 0] = np.random.default_rng(0).uniform(0, 1, (16, 16))
        second = np.roll(first, (down, right), axis=(2, 3))
        seen = np.asarray(Match(reach, PATCH)(second, first))[0, 0]
        taps = 2 * reach + 1
        return seen[..., :taps], seen[..., taps:]

    @pytest.mark.parametrize(("down", "right"), [(0, 0), (2, -1), (-3, 3)])
    def test_it_finds_where_ink_came_from_in_the_order_of_the_motion_head(self, down, right):
        rows, columns = self.scene(down, right)
        middle = (24 + down) // PATCH, (24 + right) // PATCH
        assert rows[middle][REACH - down] > 0.98
        assert columns[middle][REACH - right] > 0.98

    def test_where_nothing_is_to_be_seen_everything_is_as_likely(self):
        rows, columns = self.scene(1, 1)
        np.testing.assert_allclose(rows[0, 0], 1 / 7, rtol=1e-4)
        np.testing.assert_allclose(columns[0, 0], 1 / 7, rtol=1e-4)

    def test_it_is_the_softmax_of_squared_differences_by_hand(self):
        frames, before = np.random.default_rng(2).uniform(0, 0.3, (2, 1, 1, 16, 16, 1)).astype(np.float32)
        seen = np.asarray(Match(1, PATCH)(frames, before))[
            0, 0, 1, 2
        ]  # a cell whose neighbours are all there
        padded = np.pad(before[0, 0, ..., 0].astype(np.float64), 1)
        around = np.s_[0:12, 4:16]
        apart = np.array(
            [
                [
                    (
                        (frames[0, 0, ..., 0][around] - padded[down : down + 16, right : right + 16][around])
                        ** 2
                    ).sum()
                    for right in range(3)
                ]
                for down in range(3)
            ]
        )
        likely = np.exp(-apart) / np.exp(-apart).sum()
        np.testing.assert_allclose(seen, [*likely.sum(axis=1), *likely.sum(axis=0)], rtol=1e-4)

    @pytest.mark.parametrize(("down", "right"), [(0, 0), (2, -4), (-4, 2)])
    def test_at_half_the_resolution_it_finds_every_second_displacement(self, down, right):
        ink = np.zeros((1, 1, SIDE, SIDE, 1), np.float32)
        ink[0, 0, 6:10, 6:10, 0] = np.random.default_rng(0).uniform(0.5, 1, (2, 2)).repeat(2, 0).repeat(2, 1)
        moved = np.roll(ink, (down, right), axis=(2, 3))
        seen = np.asarray(Match(4, PATCH, coarse=2)(moved, ink))[0, 0]
        assert seen.shape == (CELLS, CELLS, 2 * 5)
        rows, columns = np.split(seen[(7 + down) // PATCH, (7 + right) // PATCH], 2)
        assert (rows.argmax(), columns.argmax()) == (2 - down // 2, 2 - right // 2)

    def test_at_half_the_resolution_a_difference_counts_as_much(self):
        """Frames of squares of 2 x 2 px say at half the resolution what they say at the whole one."""
        rng = np.random.default_rng(0)
        frames, before = rng.uniform(size=(2, 1, 1, SIDE // 2, SIDE // 2, 1)).repeat(2, 3).repeat(2, 4)
        half = np.asarray(Match(2, PATCH, coarse=2)(frames, before))
        small = [2 * part[:, :, ::2, ::2] for part in (frames, before)]
        np.testing.assert_allclose(half, np.asarray(Match(1, PATCH // 2)(*small)), rtol=1e-5)

    @pytest.mark.parametrize(("reach", "patch", "coarse"), [(3, 4, 2), (4, 3, 2), (4, 4, 0)])
    def test_pixels_that_are_one_divide_cell_and_reach(self, reach, patch, coarse):
        with pytest.raises(ValueError, match=f"coarse must be 1 or more, and divide {reach} and {patch}"):
            Match(reach, patch, coarse)

    def test_it_comes_back_from_its_configuration(self):
        layer = Match.from_config(Match(4, 2, coarse=2).get_config())
        assert (layer.reach, layer.patch, layer.coarse) == (4, 2, 2)
        layer = Match.from_config(Match(5, 2).get_config())
        assert (layer.reach, layer.patch) == (5, 2)

    def test_no_reach_is_refused(self):
        with pytest.raises(ValueError, match="reach must be 1 or more; got 0"):
            Match(0, 4)


class TestMotionCentre:
    def centres(self, frames, before, reach=REACH):
        """Row and column of the centre that each cell of the last frame belongs to."""
        places = np.asarray(MotionCentre(PATCH)(frames, Match(reach, PATCH)(frames, before)))[0, 0]
        size = frames.shape[2]
        np.testing.assert_allclose(places.sum(-1), 2, rtol=1e-4)
        return (places[..., :size] @ np.arange(size)), (places[..., size:] @ np.arange(size))

    def test_all_parts_of_a_thing_know_its_centre(self):
        frames = np.zeros((1, 1, 48, 48, 1), np.float32)
        frames[0, 0, 12:26, 10:30, 0] = np.random.default_rng(0).uniform(0.2, 1, (14, 20))
        before = np.roll(frames, (-2, 1), axis=(2, 3))
        ink = frames[0, 0, ..., 0]
        down, right = self.centres(frames, before)
        for axis, seen in enumerate((down, right)):
            expected = (ink.sum(1 - axis) * np.arange(48)).sum() / ink.sum()
            np.testing.assert_allclose(seen[3:6, 3:7], expected, atol=0.3)

    def test_things_that_move_differently_have_each_its_own(self):
        rng = np.random.default_rng(1)
        things = np.zeros((2, 1, 1, 64, 64, 1), np.float32)
        things[0, 0, 0, 24:40, 14:30, 0] = rng.uniform(0.2, 1, (16, 16))
        things[1, 0, 0, 24:40, 34:50, 0] = rng.uniform(0.2, 1, (16, 16))
        before = np.roll(things[0], 3, axis=3) + np.roll(things[1], -3, axis=3)
        _, right = self.centres(things.sum(0), before)
        assert right[8, 4:6].max() < 25
        assert right[8, 10:12].min() > 39
        _, together = self.centres(things.sum(0), np.roll(things.sum(0), 3, axis=3))
        np.testing.assert_allclose(together[8, 5:11], 31.5, atol=1)

    def test_what_moves_otherwise_is_heard_of_where_two_things_meet(self):
        rng = np.random.default_rng(1)
        things = np.zeros((2, 1, 1, 64, 64, 1), np.float32)
        things[0, 0, 0, 24:40, 14:32, 0] = rng.uniform(0.2, 1, (16, 18))
        things[1, 0, 0, 24:40, 30:50, 0] = rng.uniform(0.2, 1, (16, 20))
        frames = things.max(0)
        before = np.maximum(np.roll(things[0], 3, axis=3), np.roll(things[1], -3, axis=3))
        match = Match(REACH, PATCH)(frames, before)
        layer = MotionCentre(PATCH, others=True)
        places, heard = (np.asarray(part)[0, 0] for part in layer(frames, match, match))

        right = places[..., 64:] @ np.arange(64)
        assert right[8, 4] > 35  # the left one hears of the right one
        assert right[8, 10] < 28
        columns = heard[..., 2 * REACH + 1 :]
        assert columns[8, 4][REACH - 3] > 0.8  # which came by 3 from the left
        assert columns[8, 10][REACH + 3] > 0.8
        assert layer.compute_output_shape(frames.shape, match.shape, match.shape) == (
            (1, 1, 16, 16, 128),
            match.shape,
        )

    def test_of_a_lone_thing_there_is_nothing_else_to_hear(self):
        frames = np.zeros((1, 1, 48, 48, 1), np.float32)
        frames[0, 0, 12:26, 10:30, 0] = np.random.default_rng(0).uniform(0.2, 1, (14, 20))
        match = Match(REACH, PATCH)(frames, np.roll(frames, 2, axis=3))
        far = np.asarray(MotionCentre(PATCH, others=True)(frames, match, match)[1])
        assert np.isfinite(far).all()
        assert 0 <= far.min() <= far.max() <= 1.001

    def test_where_nothing_is_a_cell_is_its_own_centre(self):
        empty = np.zeros((1, 1, SIDE, SIDE, 1), np.float32)
        down, right = self.centres(empty, empty)
        middles = np.arange(CELLS) * PATCH + (PATCH - 1) / 2
        np.testing.assert_allclose(down, np.repeat(middles[:, None], CELLS, 1), rtol=1e-4)
        np.testing.assert_allclose(right, down.T, rtol=1e-4)

    def test_it_comes_back_from_its_configuration(self):
        layer = MotionCentre.from_config(MotionCentre(2, 9, others=True).get_config())
        assert (layer.patch, layer.near, layer.others) == (2, 9, True)

    def test_no_cell_is_refused(self):
        with pytest.raises(ValueError, match="patch and near must be 1 or more; got 0 and 28"):
            MotionCentre(0)


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
