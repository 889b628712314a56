"""Weights as pictures."""

import numpy as np
import pytest

from core.inspection import GATES, CellWeights
from ui import kernels

RNG = np.random.default_rng(0)


def test_each_gate_has_its_own_part():
    kernel = RNG.normal(size=(3, 3, 2, 20))
    parts = [kernels.gate_kernel(kernel, gate) for gate in GATES]
    np.testing.assert_array_equal(np.concatenate(parts, axis=-1), kernel)


def test_a_folded_kernel_lies_on_the_pixels_that_it_reads():
    patch, side = 4, 3
    kernel = np.zeros((side, side, 20, 2))
    kernel[1, 2, 1 * patch + 3, 1] = 5  # the cell to the right, its second row, its fourth pixel
    kernel[0, 0, 17, 1] = 9  # a channel of the matches, which is no pixel
    lying = kernels.on_pixels(kernel, patch)
    assert lying.shape == (2, 12, 12)
    assert np.argwhere(lying).tolist() == [[1, 5, 11]]


def test_a_kernel_of_single_pixels_stays_as_it_is():
    kernel = RNG.normal(size=(5, 5, 1, 3))
    np.testing.assert_array_equal(kernels.on_pixels(kernel, 1), kernel[:, :, 0].transpose(2, 0, 1))


def test_strength_is_over_all_that_comes_in():
    kernel = np.zeros((3, 3, 2, 1))
    kernel[0, 1, :, 0] = [3, -4]
    assert kernels.strength(kernel)[0, 0, 1] == 5


def test_peepholes_are_maps_where_they_differ_from_place_to_place():
    spatial, channel = RNG.normal(size=(8, 8, 3)), RNG.normal(size=3)
    weights = CellWeights(np.zeros(0), np.zeros(0), np.zeros(0), {"i": spatial, "f": channel})
    np.testing.assert_array_equal(kernels.peephole_maps(weights, "i")[1], spatial[..., 1])
    assert kernels.peephole_maps(weights, "f") is None
    assert kernels.peephole_maps(weights, "o") is None


@pytest.mark.parametrize("signed", [True, False])
def test_a_sheet_shows_every_tile_in_its_place(signed):
    tiles = RNG.uniform(0.1, 1, size=(10, 3, 3))
    tiles[9, 0, 0] = -2 if signed else 2
    sheet, limit = kernels.sheet(tiles)
    assert limit == 2
    tile = round(kernels.TILE_PX / 3) * 3
    step = tile + kernels.GAP_PX
    assert sheet.shape == (2 * step - kernels.GAP_PX, 8 * step - kernels.GAP_PX, 4)
    assert sheet[step, step].tolist() == [*(kernels.NEGATIVE if signed else (255, 255, 255)), 255]
    assert sheet[0, tile].tolist() == [*kernels.GAP, 255]  # or black tiles would run into each other
    assert sheet[step, 3 * step, 3] == 0  # nor after the last


def test_weights_that_are_all_zero_are_black():
    sheet, limit = kernels.sheet(np.zeros((1, 3, 3)))
    assert limit == 1
    assert not sheet[0, 0, :3].any()
