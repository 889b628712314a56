"""A forecast moves on what was seen last, and listens to nothing that was only imagined."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from core.forecast import Displacements, Forecast, Outlook, OutlookStep, Pieces, Trust
from core.inference import Predictor
from core.learning_models import forecast_inputs, rollout_inputs
from core.model import ModelConfig, Network
from core.weights import assign, variable_arrays
from tests.core.test_model import clip, randomised

PATCH, REACH, SIDE = 4, 3, 16
TAPS = 2 * REACH + 1
FOLLOWING = ModelConfig(
    "following",
    (4,),
    (3,),
    patch=4,
    peepholes="channel",
    canvas=SIDE,
    motions=1,
    reach=REACH,
    match=(1,),
    forecast=12,
)


def moved_by(down, right):
    """What is known of a motion, along both axes: the margins of a match, which run from down to up."""
    known = np.zeros((2, TAPS), np.float32)
    known[0, REACH - down] = known[1, REACH - right] = 1
    return known


def known_of(motions):
    """Of every cell the same."""
    return np.broadcast_to(motions, (1, 1, SIDE // PATCH, SIDE // PATCH, 2, TAPS)).copy()


def crossing():
    """Two bars that cross: the upright one flew to the right, the lying one down, and a frame before."""
    frame, before = np.zeros((2, 1, 1, SIDE, SIDE, 1), np.float32)
    frame[..., :, 6:8, :] = frame[..., 8:10, :, :] = 1
    before[..., :, 4:6, :] = before[..., 5:7, :, :] = 1
    return frame, before


class TestPieces:
    def test_all_ink_is_in_the_pieces_and_at_its_place(self):
        frame = clip(2, SIDE)
        layer = Pieces(PATCH, REACH, 32)
        own, other = known_of(moved_by(1, 0)), known_of(moved_by(0, 1))
        pieces, places, _ = map(np.asarray, layer(frame[:, 1:], frame[:, :1], own, other))
        drawn = np.zeros((SIDE, SIDE), np.float32)
        for piece, (top, left) in zip(pieces[0], places[0].astype(int), strict=True):
            drawn[top : top + PATCH, left : left + PATCH] += piece
        np.testing.assert_allclose(drawn, frame[0, 1, ..., 0], atol=1e-6)

    def test_two_things_that_cross_are_told_apart(self):
        right, down = moved_by(0, 2), moved_by(3, 0)
        pieces, places, known = map(
            np.asarray, Pieces(PATCH, REACH, 32)(*crossing(), known_of(right), known_of(down))
        )
        upright, lying = np.zeros((2, SIDE, SIDE), np.float32)
        for piece, (top, left), motion in zip(pieces[0], places[0].astype(int), known[0], strict=True):
            target = upright if (motion[:, :TAPS] == right).all() else lying
            target[top : top + PATCH, left : left + PATCH] += piece
        assert (upright[:, 6:8] == 1).all()  # also where it lies over the other one
        assert (lying[8:10, :6] == 1).all()
        assert (lying[8:10, 8:] == 1).all()
        assert lying[:8].sum() == upright[:, 8:].sum() == 0

    def test_a_piece_knows_in_which_row_and_column_it_is(self):
        still = known_of(moved_by(0, 0))
        _, places, known = map(np.asarray, Pieces(PATCH, REACH, 8)(*crossing(), still, still))
        cell = known[0, :, :, TAPS:]
        assert cell.shape == (8, 2, SIDE // PATCH)
        np.testing.assert_array_equal(cell.sum(-1), 1)
        np.testing.assert_array_equal(cell.argmax(-1) * PATCH, places[0])

    def test_those_with_most_ink_are_kept(self):
        frame = np.zeros((1, 1, SIDE, SIDE, 1), np.float32)
        frame[0, 0, 4:8, 8:12] = 0.9
        frame[0, 0, 0, 0] = 1
        still = known_of(moved_by(0, 0))
        layer = Pieces(PATCH, REACH, 1)
        pieces, places, _ = map(np.asarray, layer(frame, frame, still, still))
        assert pieces.shape == (1, 1, PATCH, PATCH)
        assert places[0, 0].tolist() == [4, 8]
        assert layer.count(SIDE) == 1
        assert Pieces(PATCH, REACH, 99).count(SIDE) == 2 * (SIDE // PATCH) ** 2

    def test_sizes_are_checked(self):
        with pytest.raises(ValueError, match="patch, reach and most must be 1 or more; got 4, 3 and 0"):
            Pieces(PATCH, REACH, 0)


class TestForecast:
    def forecast(self, displacements, places, pieces):
        """What is drawn where each piece surely moves by (down, right)."""
        layer = Forecast(SIDE)
        outlook = np.zeros((1, len(places), 2, 2 * SIDE - 1), np.float32)
        for n, displacement in enumerate(displacements):
            for axis in (0, 1):
                outlook[0, n, axis, SIDE - 1 + displacement[axis]] = 100
        layer.build(outlook.shape)
        layer.kernel.assign(np.eye(2 * SIDE - 1))
        places = np.array([places], np.float32)
        return np.asarray(layer(outlook, np.array([pieces], np.float32), places))[0, 0, ..., 0]

    def test_a_piece_moves_by_whole_pixels_and_out_of_the_picture(self):
        piece = np.random.default_rng(0).uniform(size=(PATCH, PATCH))
        drawn = self.forecast([(5, -3)], [(4, 8)], [piece])
        expected = np.zeros((SIDE, SIDE))
        expected[9:13, 5:9] = piece
        np.testing.assert_allclose(drawn, expected, atol=1e-6)
        assert self.forecast([(13, 0)], [(0, 0)], [piece])[13:, :4] == pytest.approx(piece[:3], abs=1e-6)

    def test_pieces_add_up_to_one_at_most(self):
        drawn = self.forecast([(0, 0), (0, 4)], [(0, 4), (0, 0)], np.full((2, PATCH, PATCH), 0.7))
        assert drawn.max() == 1
        assert drawn.sum() == pytest.approx(PATCH**2)

    def test_at_first_the_nearer_is_the_likelier(self):
        layer = Forecast(SIDE)
        piece = np.ones((1, 1, PATCH, PATCH), np.float32)
        places = np.array([[[4, 8]]], np.float32)
        drawn = np.asarray(layer(np.ones((1, 1, 2, 5), np.float32), piece, places))[0, 0, ..., 0]
        assert drawn.argmax() // SIDE in range(4, 8)
        assert 0 < drawn[15, 0] < drawn[8, 8] < drawn[6, 9]


class TestTrust:
    def test_it_begins_with_next_to_none_and_is_always_between_both(self):
        rng = np.random.default_rng(0)
        made, forecast = rng.uniform(size=(2, 1, 1, SIDE, SIDE, 1)).astype(np.float32)
        features = rng.normal(size=(1, 1, SIDE // PATCH, SIDE // PATCH, 3)).astype(np.float32)
        layer = Trust(PATCH)
        np.testing.assert_allclose(np.asarray(layer(features, made, forecast)), made, atol=0.003)
        layer.kernel.assign(rng.normal(size=layer.kernel.shape))
        mixed = np.asarray(layer(features, made, forecast))
        assert (mixed >= np.minimum(made, forecast) - 1e-6).all()
        assert (mixed <= np.maximum(made, forecast) + 1e-6).all()


class TestOutlook:
    known = np.random.default_rng(0).normal(size=(2, 3, 2, 7)).astype(np.float32)
    ink = np.ones((2, 3), np.float32)

    @pytest.mark.parametrize("deep", [False, True])
    def test_an_outlook_is_carried_on_step_by_step(self, deep):
        outlook, step = Outlook(8, heads=2, deep=deep), OutlookStep(deep)
        first = np.asarray(outlook([self.known], [self.ink]))
        assert first.shape == (2, 3, 2, 8)
        later = np.asarray(step(step(first)))
        assert later.shape == first.shape
        assert (later != first).any()
        assert deep or (later >= first).all()  # a ReLU only adds; a linear layer after it also takes away

    def test_rounds_share_their_weights_unless_it_is_deep(self):
        shared, deep = Outlook(8, heads=2), Outlook(8, heads=2, deep=True)
        for layer in (shared, deep):
            layer([self.known], [self.ink])
        kernels = [[one.path for one in layer.weights if "query" in one.path] for layer in (shared, deep)]
        assert [len(one) for one in kernels] == [1, 3]
        assert len(shared.rounds) == 2
        assert len({id(weights["value"]) for weights in deep.rounds}) == 3
        for weights in deep.rounds:
            before = np.asarray(deep([self.known], [self.ink]))
            weights["value"].assign(1 - weights["value"])
            assert (np.asarray(deep([self.known], [self.ink])) != before).any()

    @pytest.mark.parametrize("deep", [False, True])
    def test_a_piece_hears_the_others_with_ink(self, deep):
        """It is as if a piece without ink were not there; one with ink is heard, in its own clip only."""
        outlook = Outlook(8, heads=2, deep=deep)
        changed = self.known.copy()
        changed[0, 2] += 1
        silent, loud = (np.stack([ink, self.ink[1]]) for ink in (np.array([1, 2, 0]), np.array([1, 2, 3])))
        before, after = (np.asarray(outlook([known], [silent])) for known in (self.known, changed))
        np.testing.assert_allclose(after[0, :2], before[0, :2], atol=1e-6)
        without = np.asarray(outlook([self.known[:, :2]], [silent[:, :2]]))
        np.testing.assert_allclose(before[0, :2], without[0], atol=1e-6)
        before, after = (np.asarray(outlook([known], [loud])) for known in (self.known, changed))
        assert (np.abs(after[0, :2] - before[0, :2]) > 1e-4).any()
        np.testing.assert_allclose(after[1], before[1], atol=1e-6)

    def test_heads_share_the_vector(self):
        with pytest.raises(ValueError, match="hidden must be a multiple of heads; got 6 and 4"):
            Outlook(6, heads=4)


def test_displacements_are_what_the_forecast_of_a_network_believes():
    network = Network(FOLLOWING)
    randomised(network)
    model = Displacements(network.outlook, network.outlook_step, network.forecast, 3)
    rng = np.random.default_rng(0)
    known = [
        rng.normal(size=(2, pieces, 2, kernel.shape[0])).astype(np.float32)
        for pieces, (kernel, _) in zip((4, 3, 5), network.outlook.first, strict=True)
    ]
    ink = [rng.uniform(1, 2, size=one.shape[:2]).astype(np.float32) for one in known]
    logits = np.asarray(model([*known, *ink]))
    assert logits.shape == (2, 4, 2, 3, 2 * SIDE - 1)
    outlook = network.outlook(known, ink)
    for ahead in range(3):
        np.testing.assert_allclose(logits[:, :, :, ahead], network.forecast.logits(outlook), atol=1e-4)
        outlook = network.outlook_step(outlook)
    assert {id(variable) for variable in model.variables} <= {id(one) for one in network.variables}


class TestNetwork:
    def test_what_was_only_imagined_is_no_evidence(self):
        """Two different pictures, both said to be its own: the forecast after them is the same."""
        network = Network(FOLLOWING)
        randomised(network)
        seen, *imagined = (
            keras.ops.convert_to_tensor(clip(time, batch=2, seed=seed))
            for time, seed in ((3, 0), (1, 1), (1, 2))
        )
        states = [
            keras.ops.zeros((2, *shape), dtype)
            for shape, dtype in zip(network.state_shapes(), network.state_dtypes(), strict=True)
        ]
        _, *states = network.stateful_model(3, begins=True)([seen, *states])
        step = network.stateful_model(1, imagined=True)
        after = [step([frame, *states]) for frame in imagined]
        for one, other in zip(*(result[-3:] for result in after), strict=True):
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
        assert (np.asarray(after[0][0]) != np.asarray(after[1][0])).any()  # the rest of it does listen
        _, *seen_states = network.stateful_model(1, begins=True)([imagined[0], *states])
        assert (np.asarray(seen_states[-2]) != np.asarray(after[0][-2])).any()

    def test_without_one_there_is_none_to_learn(self):
        with pytest.raises(ValueError, match="forecast must be 1 or more"):
            forecast_inputs(Network(ModelConfig("plain", (4,), (3,), canvas=SIDE)), 5, 2)
        with pytest.raises(ValueError, match="context must be 1 to 4, below time; got 5"):
            forecast_inputs(Network(FOLLOWING), 5, 5)

    @pytest.mark.parametrize("deep", [False, True])
    def test_it_learns_alone_what_a_rollout_forecasts(self, deep):
        """The forecasts that are learned are those that a rollout trusts, from its first frame on."""
        network = Network(replace(FOLLOWING, deep=deep))
        randomised(network)
        inputs, predictions = forecast_inputs(network, 7, 3)
        model = keras.Model(inputs, predictions)
        assert {variable.path.split("/")[0] for variable in model.variables} == {
            "outlook",
            "outlook_step",
            "forecast",
        }
        network.trust.kernel.assign(np.zeros(network.trust.kernel.shape))
        network.trust.bias.assign(np.full(network.trust.bias.shape, 100.0))  # it believes nothing else
        frames = clip(7, batch=2)
        forecast = np.asarray(model([frames, np.zeros((2, 1), np.float32)]))
        np.testing.assert_array_equal(forecast[:, :2], frames[:, 1:3])
        freely = keras.Model(*rollout_inputs(network, 7, 3))
        rolled = np.asarray(freely([frames, np.ones((2, 1), np.float32)]))
        np.testing.assert_allclose(rolled[:, 2:], forecast[:, 2:], atol=1e-5)
        predictor = Predictor(network)  # its graph rounds otherwise, and weights at random make much of that
        np.testing.assert_allclose(predictor.rollout(frames[:, :3], 5), forecast[:, 2:], atol=1e-3)
        seen = predictor.next_frames(frames[:, :4])  # without a rollout the forecast has no say
        assert (seen[:, 2] != rolled[:, 2]).any()

    def test_forecasts_of_several_frames_are_mixed_by_how_sure_they_are(self):
        once, several = (Network(replace(FOLLOWING, followed=frames)) for frames in (1, 3))
        randomised(once)
        for one, other in zip(once.variables, several.variables, strict=True):
            other.assign(np.asarray(one))
        ink = np.array([0.2, 0, 0, *[0.2] * 13], np.float32)  # so little that sums stay below 1
        clips = clip(16, batch=2) * ink[None, :, None, None, None]

        def forecast(network, context):
            made = keras.Model(*forecast_inputs(network, 16, context))
            return np.asarray(made([clips, np.zeros((2, 1), np.float32)]))[:, context - 1 :]

        begun = [forecast(once, 6 - back)[:, back : back + 10] for back in range(3)]
        mixed = forecast(several, 6)
        for ahead in range(10):
            can = np.stack([one[:, ahead] for one in begun[: 10 - ahead]])  # none leads further than 10
            assert (mixed[:, ahead] >= can.min(axis=0) - 1e-5).all()
            assert (mixed[:, ahead] <= can.max(axis=0) + 1e-5).all()
        assert np.abs(mixed[:, :8] - begun[0][:, :8]).max() > 1e-3
        np.testing.assert_allclose(mixed[:, 9], begun[0][:, 9], atol=1e-5)
        # at the beginning, and where frames are black, nothing was there before
        for context in (1, 4):
            np.testing.assert_allclose(forecast(several, context), forecast(once, context), atol=1e-5)

    def test_after_ten_frames_those_that_were_predicted_are_taken_for_seen(self, eagerly):
        network = Network(replace(FOLLOWING, followed=2))
        randomised(network)
        frames, predictor = clip(16, batch=1), Predictor(network)
        rolled = predictor.rollout(frames[:, :3], 13)
        anew = predictor.rollout(np.concatenate([frames[:, :3], rolled[:, :10]], axis=1), 3)
        np.testing.assert_allclose(rolled[:, 10:], anew, atol=1e-4)
        learned = keras.Model(*rollout_inputs(network, 15, 3))
        freely = np.asarray(learned([frames[:, :15], np.ones((1, 1), np.float32)]))
        np.testing.assert_allclose(freely[:, 2:], rolled, atol=1e-3)

    @pytest.mark.parametrize("lags", [{}, {"encode": (1, 2, 3, 4, 6, 8), "followed": 3}])
    def test_foreseeing_is_to_begin_a_rollout_after_every_frame(self, eagerly, lags):
        """Whole, in parts, and frame by frame: what is known of a frame is the same however it comes."""
        config = replace(FOLLOWING, **lags)
        network = Network(replace(config, foresees=True))
        randomised(network)
        for trust in (network.trust, network.foresight):  # it believes nothing else
            trust.kernel.assign(np.zeros(trust.kernel.shape))
            trust.bias.assign(np.full(trust.bias.shape, 100.0))
        frames = clip(14, batch=2)
        predictor = Predictor(network)
        foreseen = predictor.next_frames(frames)  # 8, 4 and 1 frames
        some = [2, 9, 13]  # in each part, and across their seams
        begun = [predictor.rollout(frames[:, :seen], 1) for seen in some]
        at = np.array(some) - 1
        np.testing.assert_allclose(foreseen[:, at], np.concatenate(begun, axis=1), atol=1e-3)
        whole = np.asarray(network.training_model(13)(frames[:, :-1]))
        np.testing.assert_allclose(foreseen, whole, atol=1e-3)
        network.foresight.bias.assign(np.full(trust.bias.shape, -100.0))  # and now not at all
        blind = Network(config)
        own = variable_arrays(network.variables)
        assign(blind.variables, {one.path: own[one.path] for one in blind.variables}, "here")
        np.testing.assert_allclose(
            Predictor(network).next_frames(frames), Predictor(blind).next_frames(frames), atol=1e-3
        )

    def test_what_is_unseen_does_not_count(self):
        model = keras.Model(*forecast_inputs(Network(FOLLOWING), 5, 3))
        frames = clip(5, batch=1)
        changed = frames.copy()
        changed[:, :2] = 1 - changed[:, :2]
        both, one = (
            [np.asarray(model([x, np.full((1, 1), unseen, np.float32)]))[:, 2:] for x in (frames, changed)]
            for unseen in (0, 2)
        )
        np.testing.assert_array_equal(one[0], one[1])
        assert (both[0] != both[1]).any()
