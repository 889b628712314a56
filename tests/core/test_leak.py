"""A network that sees the frame it predicts is found out; one that does not is not accused."""

import numpy as np
import pytest

from core.inference import Predictor
from core.leak import changed_clip, leak_report, probe
from core.model import ModelConfig, Network
from core.moving_mnist import benchmark_clips

CLIP, FRAME, PIXEL = benchmark_clips(0, 1)[0], 7, (32, 32)


def tiny(head):
    model = Predictor(Network(ModelConfig("tiny", (4,), (3,), patch=4, head=head)))
    rng = np.random.default_rng(0)
    for variable in model.network.training_model(1).variables:
        if "norm" not in variable.path:
            variable.assign(rng.normal(0, 0.3, variable.shape))
    return model


@pytest.mark.parametrize(("head", "first_moved"), [("causal", FRAME), ("leaky", FRAME - 1)])
def test_the_first_prediction_that_moves(head, first_moved):
    """Prediction k is of frame k + 1: entry FRAME - 1 is that of the changed frame itself."""
    found = probe(tiny(head), CLIP, FRAME, PIXEL)
    assert np.flatnonzero(found.max_change)[0] == first_moved
    assert found.causal == (head == "causal")
    assert found.before.shape == found.after.shape == (19, 64, 64)
    np.testing.assert_allclose(found.max_change, np.abs(found.after - found.before).max(axis=(1, 2)))


def test_exactly_one_pixel_changes_and_visibly():
    changed = changed_clip(CLIP, 3, (0, 5))
    assert np.argwhere(changed != CLIP).tolist() == [[3, 0, 5]]
    assert abs(int(changed[3, 0, 5]) - int(CLIP[3, 0, 5])) > 127


def test_the_report():
    report, arrays = leak_report({"good": tiny("causal"), "bad": tiny("leaky")}, CLIP, FRAME, PIXEL)
    assert (report["changed_frame"], report["changed_pixel"]) == (7, [32, 32])
    assert [(entry["name"], entry["causal"]) for entry in report["models"]] == [
        ("good", True),
        ("bad", False),
    ]
    assert all(len(entry["max_change"]) == 19 for entry in report["models"])
    assert set(arrays) == {"truth", "good_before", "good_after", "bad_before", "bad_after"}
    assert arrays["bad_after"].dtype == np.float16
    np.testing.assert_array_equal(arrays["truth"], CLIP)


@pytest.mark.parametrize(
    ("frame", "pixel", "message"),
    [
        (20, (0, 0), "frame must be 0 to 19; got 20"),
        (0, (0, 0), "frame must be 1 to 18, .*; got 0"),
        (19, (0, 0), "frame must be 1 to 18, .*; got 19"),
        (5, (64, 0), "pixel must be within 64 rows and 64 columns; got 64, 0"),
    ],
)
def test_what_cannot_be_changed_is_refused(frame, pixel, message):
    with pytest.raises(ValueError, match=message):
        probe(None, CLIP, frame, pixel)


def test_frames_are_no_clip():
    with pytest.raises(ValueError, match=r"clip must be uint8 \(time, height, width\); got float64"):
        changed_clip(np.zeros((3, 4, 4)), 1, (0, 0))
