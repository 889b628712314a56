"""Inside the cell: the maps are the network's own, the equations hold, and what is changed has its effect."""

import keras
import numpy as np
import pytest

from core.inference import InputError, Predictor
from core.inspection import (
    GATES,
    Intervention,
    blanked,
    frozen,
    largest_difference,
    noisy,
    receipt,
)
from core.model import ModelConfig, Network
from tests.core.test_model import clip, randomised

SIDE, TIME = 16, 8
KINDS = {
    "spatial": ModelConfig("spatial", (4, 3), (5, 3), canvas=SIDE),
    "folded": ModelConfig(
        "folded",
        (4, 4),
        (3, 3),
        canvas=SIDE,
        patch=2,
        scales=(1, 2),
        peepholes="channel",
        motions=1,
        match=(1,),
    ),
    "no peepholes": ModelConfig("bare", (3,), (3,), canvas=SIDE, peepholes=None),
    "leaky": ModelConfig("leaky", (3,), (3,), canvas=SIDE, head="leaky"),
}
LAYERS = [(kind, layer) for kind, config in KINDS.items() for layer in range(1, len(config.filters) + 1)]


def predictor_of(kind):
    network = Network(KINDS[kind])
    randomised(network)
    return Predictor(network)


@pytest.fixture(scope="module")
def predictors():
    return {kind: predictor_of(kind) for kind in KINDS}


@pytest.mark.parametrize(("kind", "layer"), LAYERS)
def test_what_is_shown_is_what_predicts(predictors, kind, layer):
    """Also of a clip that runs in parts."""
    predictor = predictors[kind]
    for time in (TIME, 24):
        frames = clip(time, SIDE, batch=1)
        trace = predictor.inspect(frames, layer)
        # sums come in another order where the convolution of an empty memory is left out
        np.testing.assert_allclose(trace.predictions, predictor.next_frames(frames)[0, ..., 0], atol=1e-6)
        config = predictor.config
        side = SIDE // trace.scale
        assert trace.scale == config.patch * config.layer_scales[layer - 1]
        for name in (*GATES, "c", "h"):
            assert getattr(trace, name).shape == (time - 1, side, side, config.filters[layer - 1])
        assert np.ptp(trace.c) > 0


@pytest.mark.parametrize(("kind", "layer"), LAYERS)
def test_every_value_adds_up(predictors, kind, layer):
    trace = predictors[kind].inspect(clip(TIME, SIDE, batch=1), layer)
    weights = predictors[kind].cell_weights(layer)
    assert largest_difference(trace, weights, places=200) < 1e-5
    trace.f[:] += 0.01
    assert largest_difference(trace, weights, places=200) > 0.009


def test_a_receipt_is_worked_out_from_what_the_cell_saw(predictors):
    """At the edge, where a convolution sees zeros; and in the first frame, before which nothing was."""
    predictor = predictors["spatial"]
    frames = clip(TIME, SIDE, batch=1)
    trace, weights = predictor.inspect(frames, 1), predictor.cell_weights(1)
    corner = receipt(trace, weights, 3, 0, 0, 1)
    assert corner.seen.shape == (5, 5, 1)
    assert corner.remembered.shape == (5, 5, 4)
    np.testing.assert_array_equal(corner.seen[2:, 2:, 0], frames[0, 3, :3, :3, 0])
    assert not corner.seen[:2].any()
    assert corner.before == trace.c[2, 0, 0, 1]
    assert corner.sums["o"].peephole == pytest.approx(
        float(weights.peepholes["o"][0, 0, 1]) * corner.c  # the output gate sees the new cell
    )
    assert corner.sums["g"].peephole == 0
    assert corner.sums["f"].total == pytest.approx(np.log(corner.f / (1 - corner.f)))
    column = GATES.index("f") * 4 + 1  # of channel 1
    np.testing.assert_allclose(
        corner.from_input["f"], (corner.seen * weights.kernel[..., column]).sum(-1), atol=1e-6
    )
    assert corner.from_memory["f"].sum() == pytest.approx(corner.sums["f"].recurrent)
    first = receipt(trace, weights, 0, 5, 5, 0)
    assert first.before == first.sums["i"].recurrent == first.sums["i"].peephole == 0
    with pytest.raises(ValueError, match="row must be 0 to 15; got 16"):
        receipt(trace, weights, 0, 16, 0, 0)


class TestInterventions:
    """Each against a network whose weights were changed by hand."""

    frames = clip(TIME, SIDE, batch=1)

    def both(self, intervention, change, kind="spatial", layer=1):
        """What happens, and what a network with changed weights does."""
        happened = predictor_of(kind).inspect(self.frames, layer, intervention)
        changed = predictor_of(kind)
        change(changed.network.cells[layer - 1])
        assert (changed.network.cells[layer - 1].bias.shape[0] // 4) == happened.h.shape[-1]
        return happened, changed.inspect(self.frames, layer)

    @pytest.mark.parametrize("kind", ["spatial", "folded"])
    def test_cut_peepholes_are_peepholes_of_zero(self, kind):
        def change(cell):
            for weight in cell.peephole_weights:
                weight.assign(np.zeros(weight.shape))

        happened, expected = self.both(Intervention(peepholes=False), change, kind)
        np.testing.assert_allclose(happened.predictions, expected.predictions, atol=1e-6)
        plain = predictor_of(kind).inspect(self.frames, 1)
        assert np.abs(plain.predictions - happened.predictions).max() > 1e-4

    @pytest.mark.parametrize(("gate", "value"), [("i", 0.0), ("f", 1.0), ("o", 0.0), ("g", -1.0)])
    def test_a_clamped_gate_is_one_whose_bias_leaves_no_choice(self, gate, value):
        channel = 2

        def change(cell):
            column = GATES.index(gate) * cell.filters + channel
            bias = keras.ops.convert_to_numpy(cell.bias).copy()
            bias[column] = 1e4 if value == 1 else -1e4
            cell.bias.assign(bias)

        intervention = Intervention(clamp={gate: value}, channels=(channel,))
        happened, expected = self.both(intervention, change)
        np.testing.assert_allclose(getattr(happened, gate)[..., channel], value, atol=1e-6)
        np.testing.assert_allclose(happened.predictions, expected.predictions, atol=1e-6)

    def test_without_channels_all_are_clamped(self):
        happened = predictor_of("spatial").inspect(self.frames, 2, Intervention(clamp={"f": 0.25}))
        assert (happened.f == 0.25).all()

    def test_nobody_hears_a_silent_channel(self):
        def change(cell):  # its output gate is shut
            bias = keras.ops.convert_to_numpy(cell.bias).copy()
            bias[3 * cell.filters + 1] = -1e4
            cell.bias.assign(bias)

        happened, expected = self.both(Intervention(silence=(1,)), change)
        assert not happened.h[..., 1].any()
        assert happened.h[..., 0].any()
        np.testing.assert_allclose(happened.predictions, expected.predictions, atol=1e-6)

    def test_what_is_forgotten_was_never_there(self):
        predictor = predictor_of("spatial")
        both = predictor.inspect(self.frames, 1, Intervention(reset_hidden=(4,), reset_cell=(4,)))
        late = predictor.inspect(self.frames[:, 4:], 1)
        np.testing.assert_allclose(both.h[4:], late.h, atol=1e-6)
        cell_only = predictor.inspect(self.frames, 1, Intervention(reset_cell=(4,)))
        np.testing.assert_allclose(cell_only.c[4], (cell_only.i * cell_only.g)[4], atol=1e-6)
        assert np.abs(cell_only.h[4] - both.h[4]).max() > 1e-4
        np.testing.assert_array_equal(both.h[:4], predictor.inspect(self.frames, 1).h[:4])

    def test_a_frozen_cell_stays_as_it_was(self):
        trace = predictor_of("spatial").inspect(self.frames, 1, Intervention(freeze_from=3))
        for t in range(3, TIME - 1):
            np.testing.assert_array_equal(trace.c[t], trace.c[2])
        assert np.abs(trace.c[2] - trace.c[1]).max() > 0
        assert np.abs(trace.o[4] - trace.o[3]).max() > 0  # the gates go on

    @pytest.mark.parametrize(
        ("intervention", "said"),
        [
            (
                Intervention(clamp={"f": 1.5}),
                "i, f and o can be clamped to 0 to 1 and g to -1 to 1; got f = 1.5",
            ),
            (Intervention(clamp={"x": 0.5}), "got x = 0.5"),
            (Intervention(silence=(4,)), "silence must be 0 to 3; got 4"),
            (Intervention(channels=(-1,)), "channels must be 0 to 3; got -1"),
            (Intervention(reset_cell=(7,)), "reset_cell must be 0 to 6; got 7"),
            (Intervention(freeze_from=7), "freeze_from must be 0 to 6; got 7"),
        ],
    )
    def test_what_the_layer_does_not_have_is_said(self, predictors, intervention, said):
        with pytest.raises(InputError, match=said):
            predictors["spatial"].inspect(self.frames, 1, intervention)


def test_one_clip_and_a_layer_that_is_there(predictors):
    with pytest.raises(InputError, match="one clip can be inspected at once; got 2"):
        predictors["spatial"].inspect(clip(TIME, SIDE, batch=2), 1)
    for ask in (
        lambda: predictors["spatial"].inspect(clip(TIME, SIDE, batch=1), 3),
        lambda: predictors["spatial"].inspect(clip(TIME, SIDE, batch=1), 1.0),
        lambda: predictors["spatial"].inspect(clip(TIME, SIDE, batch=1), "1"),
        lambda: predictors["spatial"].cell_weights(0),
    ):
        with pytest.raises(InputError, match="layer must be 1 to 2; got [301']"):
            ask()


def test_frames_can_be_taken_away_stopped_and_disturbed():
    frames = clip(TIME, SIDE, batch=1)[0, ..., 0]
    black = blanked(frames, 2, 4)
    assert not black[2:4].any()
    np.testing.assert_array_equal(np.delete(black, [2, 3], axis=0), np.delete(frames, [2, 3], axis=0))
    still = frozen(frames, 3)
    assert (still[3:] == frames[3]).all()
    np.testing.assert_array_equal(still[:3], frames[:3])
    rough = noisy(frames, 0.1, np.random.default_rng(0))
    assert rough.dtype == np.float32
    assert 0 <= rough.min() <= rough.max() <= 1
    inside = (frames > 0.4) & (frames < 0.6)
    assert (rough - frames)[inside].std() == pytest.approx(0.1, rel=0.2)
