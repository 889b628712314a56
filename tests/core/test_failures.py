"""The worst clips are the worst, and their sentence says what the numbers say."""

import numpy as np
import pytest

from core import baselines, metrics
from core.failures import FIGURES, as_pixels, overlap_frames, wall_contacts, why, worst_clips
from core.moving_mnist import benchmark_clips, to_frames


class CopyLast:
    name, device = "copier", "CPU"

    def next_frames(self, frames):
        return baselines.copy_last(frames[..., 0])[..., None]


def test_the_worst_are_found_worst_first():
    report, arrays = worst_clips(CopyLast(), 40, 5)
    truth = to_frames(benchmark_clips(0, 40))
    scores = metrics.per_frame(truth[:, 1:], truth[:, :-1])
    scores = {name: values[:, 1:] for name, values in scores.items()}  # the first says nothing of a clip
    errors = scores["mse_sum"].mean(axis=1)
    expected = np.argsort(-errors)[:5]
    assert [clip["index"] for clip in report["clips"]] == expected.tolist()
    assert (report["model"], report["sequences"]) == ("copier", 40)
    for place, clip in enumerate(report["clips"]):
        assert set(clip) == {"index", *FIGURES, "why"}
        assert clip["mse_sum"] == pytest.approx(errors[clip["index"]])
        assert clip["copy_last_mse_sum"] == pytest.approx(clip["mse_sum"])
        assert clip["psnr"] == pytest.approx(scores["psnr"][clip["index"]].mean(), abs=1e-4)
        assert clip["step_of_worst"] == 1 + scores["mse_sum"][clip["index"]].argmax()
        assert clip["why"].endswith(".")
        np.testing.assert_array_equal(
            arrays["truth"][place], benchmark_clips(clip["index"], clip["index"] + 1)[0]
        )
    np.testing.assert_array_equal(arrays["prediction"], arrays["truth"][:, :-1])


def test_overlap_by_hand():
    stamps = np.zeros((1, 2, 28, 28), np.uint8)
    stamps[:, :, 10:12, 10:12] = 200
    corners = np.array([[[[0, 0], [0, 0]], [[0, 0], [1, 1]], [[0, 0], [2, 0]]]])
    assert overlap_frames(stamps, corners).tolist() == [2]


def test_wall_contacts_by_hand():
    velocities = np.zeros((1, 4, 1, 2))
    velocities[0, :, 0, 0] = [3, -3, -3, 3]
    velocities[0, :, 0, 1] = [1, 1, 1, -1]
    assert wall_contacts(velocities).tolist() == [3]


USUAL = {
    "copy_last_mse_sum": 200.0, "overlap_frames": 5.0, "bounces": 4.0, "centroid_px": 1.0,
    "mass_ratio": 0.95, "sharpness_ratio": 0.8, "step_of_worst": 5.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({}, "Nothing that is measured here sets it apart but its error."),
        ({"overlap_frames": 14}, "The digits overlap in 14 frames (usual: 5)."),
        ({"bounces": 7}, "Digits turn at a wall 7 times (usual: 4)."),
        ({"copy_last_mse_sum": 300.0},
         "Much ink moves (repeating the last frame errs 1.5 times as much as usual)."),
        ({"centroid_px": 2.5}, "The ink is 2.50 px off (usual: 1.00)."),
        ({"sharpness_ratio": 0.5}, "It is blurred to 50% of the true sharpness (usual: 80%)."),
        ({"mass_ratio": 0.7}, "30% of the ink is lost."),
        ({"centroid_px": 1.1, "sharpness_ratio": 0.7},
         "Nothing that is measured here sets it apart but its error."),
    ],
)  # fmt: skip
def test_the_sentence_says_what_stands_out(change, sentence):
    assert why({**USUAL, **change}, USUAL, USUAL, USUAL) == sentence


def test_pixels_are_rounded_and_clipped():
    assert as_pixels(np.array([-0.2, 0.0, 0.5, 1.0, 1.7])).tolist() == [0, 0, 128, 255, 255]


def test_too_few_sequences_are_refused():
    with pytest.raises(ValueError, match="sequences must be 10 to 10000 for the worst 10; got 9"):
        worst_clips(CopyLast(), 9)
