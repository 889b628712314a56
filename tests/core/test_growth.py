"""A wider network predicts what the narrower one did, and can learn from there."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from core.growth import check_forecast, check_growth, grow, take_forecast
from core.learning_models import forecast_inputs, rollout_inputs
from core.model import ModelConfig, Network
from core.weights import assign, variable_arrays

PLAIN = ModelConfig("plain", (4, 3), (3, 1), canvas=16)
SCALED = ModelConfig(
    "scaled",
    (4, 8, 16, 4),
    (3, 3, 1, 3),
    patch=2,
    peepholes="channel",
    canvas=16,
    scales=(1, 2, 4, 1),
    motions=2,
    reach=2,
    match=(1,),
)


def randomised(network, seed):
    rng = np.random.default_rng(seed)
    for variable in network.variables:
        low, high = (0.5, 1.5) if "variance" in variable.path or "gamma" in variable.path else (-0.4, 0.4)
        variable.assign(rng.uniform(low, high, variable.shape))
    return network


def grown(old, new):
    before, after = randomised(Network(old), 0), randomised(Network(new), 1)
    arrays, fresh = variable_arrays(before.variables), variable_arrays(after.variables)
    assign(after.variables, grow(arrays, old, fresh, new), "grown")
    return before, after


@pytest.mark.parametrize(
    ("old", "changes"),
    [
        (PLAIN, {"filters": (5, 6)}),
        (SCALED, {"filters": (6, 12, 32, 5)}),
        (SCALED, {"match": (1, 2)}),
        (SCALED, {"match": (1, 3), "filters": (5, 8, 32, 4)}),
        (SCALED, {"encode": (1, 2)}),
        (SCALED, {"match": (1, 3), "encode": (2,), "filters": (5, 8, 32, 4)}),
        (replace(SCALED, encode=(1, 3)), {"filters": (6, 12, 32, 5)}),
        (replace(SCALED, encode=(1, 3)), {"filters": (6, 12, 32, 5), "others": True}),
        (replace(SCALED, encode=(1, 3), others=True), {"filters": (6, 12, 32, 5)}),
        (replace(SCALED, encode=(1, 3)), {"encode": (1, 3, 4, 2)}),
        (SCALED, {"forecast": 9, "filters": (6, 12, 32, 5)}),
        (replace(SCALED, forecast=9, foresees=True), {"filters": (6, 12, 32, 5)}),
        (replace(SCALED, forecast=9, foresees=True, deep=True), {"filters": (6, 12, 32, 5)}),
        (replace(SCALED, encode=(1, 3), others=True), {"encode": (1, 3, 2), "filters": (6, 12, 32, 5)}),
    ],
)
def test_it_predicts_the_same(old, changes):
    before, after = grown(old, replace(old, name="wide", **changes))
    frames = np.random.default_rng(2).uniform(size=(2, 5, 16, 16, 1)).astype(np.float32)
    expected = np.asarray(before.training_model(5)(frames, training=False))
    predicted = np.asarray(after.training_model(5)(frames, training=False))
    np.testing.assert_allclose(predicted, expected, atol=1e-5)


RICH = replace(SCALED, encode=(1, 2, 4), others=True, forecast=9, foresees=True)


@pytest.mark.parametrize(
    ("changes", "unheard"),
    [
        ({"encode": (2, 1)}, "encoder/kernel"),
        ({"others": False}, "others_encoder/out_"),
        ({"foresees": False, "others": False, "encode": (1, 2)}, "encoder"),
    ],
)
def test_what_was_not_heard_is_left_out_without_a_change(changes, unheard):
    """Of the encoders what is left out says nothing here; so a network without it predicts the same."""
    plain = replace(RICH, foresees=False)
    before = randomised(Network(plain), 0)
    for variable in before.variables:
        if unheard in variable.path:
            values = np.asarray(variable).copy()
            if variable.path == "encoder/kernel":
                values[5 + 17 : 5 + 17 + 33] = 0  # of the match with the frame 4 before
            else:
                values[:] = 0
            variable.assign(values)
    old, arrays = plain, variable_arrays(before.variables)
    if "foresees" in changes:
        old = RICH
        arrays |= {f"foresight/{name}": arrays[f"trust/{name}"] for name in ("kernel", "bias")}
    new = replace(old, name="less", **changes)
    after = Network(new)
    assign(after.variables, grow(arrays, old, variable_arrays(after.variables), new), "less")
    frames = np.random.default_rng(2).uniform(size=(2, 5, 16, 16, 1)).astype(np.float32)
    expected, predicted = (
        np.asarray(network.training_model(5)(frames, training=False)) for network in (before, after)
    )
    assert expected.std() > 0.01
    np.testing.assert_allclose(predicted, expected, atol=1e-5)


def test_at_half_the_resolution_a_match_is_heard_as_the_displacements_around():
    new = replace(RICH, name="coarse", coarse=(4,))
    arrays, fresh = (variable_arrays(randomised(Network(one), 0).variables) for one in (RICH, new))
    grown = grow(arrays, RICH, fresh, new)
    heard, hears = arrays["encoder/kernel"][22:55], grown["encoder/kernel"][22:39]
    for n in range(1, 16):
        np.testing.assert_allclose(hears[n], heard[2 * n - 1 : 2 * n + 2].T @ [0.25, 0.5, 0.25], atol=1e-6)
    np.testing.assert_array_equal(grown["encoder/kernel"][39:], arrays["encoder/kernel"][55:])
    again = grow(grown, new, arrays, RICH)["encoder/kernel"][22:55]  # and at the whole one as two of those
    np.testing.assert_array_equal(again[::2], hears)
    np.testing.assert_allclose(again[1::2], (hears[1:] + hears[:-1]) / 2, atol=1e-6)
    with pytest.raises(ValueError, match="and other settings differ"):
        check_growth(RICH, replace(RICH, encode=(), others=False))  # the first layer would lose inputs


def test_a_rollout_with_a_forecast_stays_the_same():
    old = replace(SCALED, forecast=9)
    wider = {"filters": (6, 12, 32, 5), "match": (1, 2), "encode": (1, 3), "others": True}
    before, after = grown(old, replace(old, name="wide", **wider))
    frames = np.random.default_rng(2).uniform(size=(2, 4, 16, 16, 1)).astype(np.float32)
    expected, rolled = (
        np.asarray(keras.Model(*rollout_inputs(network, 4, 2))([frames, np.ones((2, 1), np.float32)]))
        for network in (before, after)
    )
    np.testing.assert_allclose(rolled, expected, atol=1e-5)


def test_a_deep_forecast_says_at_first_what_the_other_one_did():
    old = replace(SCALED, forecast=9)
    before, after = grown(old, replace(old, deep=True))
    frames = np.random.default_rng(2).uniform(size=(2, 5, 16, 16, 1)).astype(np.float32)
    inputs = [frames, np.zeros((2, 1), np.float32)]
    expected, forecast = (
        np.asarray(keras.Model(*forecast_inputs(network, 5, 3))(inputs)) for network in (before, after)
    )
    assert expected[:, 2:].std() > 0.05
    np.testing.assert_allclose(forecast, expected, atol=0.01)  # weights at random make much of a little
    # what is new has a gradient
    model = keras.Model(*forecast_inputs(after, 5, 3))
    new = {one.path: one for one in model.variables if "round_3" in one.path or "further" in one.path}
    start = {path: np.asarray(variable).copy() for path, variable in new.items()}
    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.train_on_batch(inputs, 1 - frames)
    for part in ("round_3_heard_kernel", "round_3_heard_bias"):
        assert (np.asarray(new[f"outlook/{part}"]) != start[f"outlook/{part}"]).any()
    further = np.asarray(new["outlook_step/further_kernel"]) - start["outlook_step/further_kernel"]
    assert further[len(further) // 2 :].any()


def test_a_forecast_is_trusted_in_known_clips_as_it_was_in_rollouts():
    old = replace(SCALED, forecast=9)
    _, after = grown(old, replace(old, filters=(6, 12, 32, 5), foresees=True))
    arrays = variable_arrays(after.variables)
    assert arrays["trust/kernel"].any()
    for name in ("kernel", "bias"):
        np.testing.assert_array_equal(arrays[f"foresight/{name}"], arrays[f"trust/{name}"])


def test_the_new_channels_can_learn():
    """Weights that listen to them are 0 and have a gradient; their own are fresh."""
    _, after = grown(SCALED, replace(SCALED, filters=(6, 12, 32, 5)))
    kernel = next(variable for variable in after.variables if variable.path == "head/kernel")
    assert not np.asarray(kernel)[..., 4, :].any()
    assert np.asarray(next(v for v in after.variables if v.path == "convlstm_4/kernel"))[..., 4].all()
    frames = np.random.default_rng(2).uniform(size=(2, 5, 16, 16, 1)).astype(np.float32)
    model = after.training_model(5)
    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.train_on_batch(frames, 1 - frames)
    assert np.asarray(kernel)[..., 4, :].any()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"filters": (4, 2)}, r"as many filters or more; got \(4, 2\) from \(4, 3\)$"),
        ({"filters": (5, 3), "kernels": (3, 3)}, "and other settings differ"),
        ({"filters": (5, 3, 3), "kernels": (3, 1, 1)}, "and other settings differ"),
    ],
)
def test_only_a_wider_network_of_the_same_kind_grows(changes, words):
    with pytest.raises(ValueError, match=words):
        check_growth(PLAIN, replace(PLAIN, name="other", **changes))


def test_another_network_takes_over_a_forecast_and_trusts_it_by_half():
    source, target = (
        randomised(Network(config), seed)
        for seed, config in enumerate(
            (replace(SCALED, encode=(1, 3), forecast=9), replace(SCALED, filters=(3, 4, 16, 3), forecast=9))
        )
    )
    own = variable_arrays(target.variables)
    trusted = take_forecast(variable_arrays(source.variables), own)
    for path in ("trust/kernel", "trust/bias"):  # somebody trained it
        np.testing.assert_array_equal(trusted[path], own[path])
    own["trust/kernel"][:] = 0
    taken = take_forecast(variable_arrays(source.variables), own)
    assign(target.variables, taken, "taken")
    inputs = [np.random.default_rng(2).uniform(size=(2, 6, 16, 16, 1)).astype(np.float32), np.zeros((2, 1))]
    expected, forecast = (
        np.asarray(keras.Model(*forecast_inputs(network, 6, 3))(inputs)) for network in (source, target)
    )
    np.testing.assert_allclose(forecast, expected, atol=1e-6)
    apart = {path for path in own if not np.array_equal(own[path], taken[path])}
    assert {path.partition("/")[0] for path in apart} == {"outlook", "outlook_step", "forecast", "trust"}
    # nobody trained it
    assert not any(taken[path].any() for path in ("trust/kernel", "trust/bias"))


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("path", ["outlook/heard_bias", "outlook_step/kernel", "outlook_step/bias"])
def test_weights_of_a_forecast_that_do_not_fit_are_named(deep, path):
    source, own = (
        variable_arrays(Network(replace(SCALED, forecast=9, deep=one)).variables) for one in (False, deep)
    )
    changed = {**source, path: source[path][:-1]}
    for damaged in (changed, {name: array for name, array in source.items() if name != path}):
        with pytest.raises(
            ValueError, match="the forecast does not fit: outlook.* is missing, or of another"
        ):
            take_forecast(damaged, own)


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        (SCALED, replace(SCALED, forecast=9), "scaled has no forecast that scaled could begin with"),
        (
            replace(SCALED, forecast=9),
            replace(SCALED, name="far", reach=3, forecast=9),
            "scaled does not fit far: canvas, cells and reach of their matches must be the same",
        ),
        (
            replace(SCALED, name="deep", forecast=9, deep=True),
            replace(SCALED, forecast=9),
            "the forecast of deep is deep and does not fit scaled, whose is not",
        ),
    ],
)
def test_a_forecast_of_other_matches_is_refused(source, target, words):
    with pytest.raises(ValueError, match=words):
        check_forecast(source, target)


def test_missing_weights_are_named():
    arrays = variable_arrays(Network(PLAIN).training_model(1).variables)
    fresh = dict(arrays)
    del arrays["head/bias"]
    with pytest.raises(ValueError, match="1 names differ, such as 'head/bias'"):
        grow(arrays, PLAIN, fresh, PLAIN)
