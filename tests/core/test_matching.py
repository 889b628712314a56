"""Where the parts of a frame were in earlier ones, and what moves alike: against sums written out."""

import numpy as np
import pytest
from keras import ops

from core.matching import Match, MotionCentre, cell_windows, cells_found

PATCH, REACH, SIDE = 4, 3, 16
CELLS = SIDE // PATCH


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

    @pytest.mark.parametrize("coarse", [1, 2])
    @pytest.mark.parametrize("lag", [1, 2, 3, 5])
    def test_frames_with_none_before_them_are_matched_as_if_those_were_black(self, lag, coarse):
        frames = np.random.default_rng(0).uniform(size=(2, 3, SIDE, SIDE, 1)).astype(np.float32)
        match = Match(2, 2 * PATCH, coarse)
        with_black = np.concatenate([np.zeros((2, lag, SIDE, SIDE, 1), np.float32), frames], axis=1)[:, :3]
        expected = cells_found(match, PATCH, frames, with_black)
        found = cells_found(match, PATCH, frames, frames[:, : max(3 - lag, 0)])
        np.testing.assert_allclose(*map(np.asarray, (found, expected)), rtol=1e-5)

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
