"""Scoring models whose right score is known: an oracle, copy-last itself, one that is off by one frame."""

from typing import ClassVar

import numpy as np
import pytest

from core import baselines, metrics
from core.clip_sets import StandardSet
from core.evaluation import SLICE_SEQUENCES, Task, evaluate
from core.moving_mnist import benchmark_clips, to_frames

NEXT_FRAME = Task("next-frame")
ROLLOUT = Task("rollout", context_frames=7, horizon_frames=5)


class Oracle:
    """Knows the truth: the frames handed over hold it (next-frame), or it keeps the set (rollout)."""

    name, device, causal = "oracle", "CPU", True

    def __init__(self, shift: int = 0) -> None:
        self.shift = shift

    def next_frames(self, frames):
        return np.roll(frames, self.shift, axis=1)[:, 1:]

    def rollout(self, context_frames, horizon):
        context = context_frames.shape[1]
        known = to_frames(benchmark_clips(0, 64))
        rows = [
            int(np.argmin([np.abs(clip[:context] - seen[..., 0]).sum() for clip in known]))
            for seen in context_frames
        ]
        first = context + self.shift
        return known[rows, first : first + horizon, ..., None]


class CopyLast:
    name, device, causal = "copier", "CPU", True

    def next_frames(self, frames):
        return baselines.copy_last(frames[..., 0])[..., None]

    def rollout(self, context_frames, horizon):
        return baselines.copy_last_rollout(context_frames[..., 0], context_frames.shape[1], horizon)[
            ..., None
        ]


def test_standard_errors_are_those_of_the_sequences_means():
    report = evaluate(CopyLast(), StandardSet(), NEXT_FRAME, SLICE_SEQUENCES + 3)
    clips = to_frames(benchmark_clips(0, SLICE_SEQUENCES + 3))
    of_each = metrics.per_frame(clips[:, 1:], clips[:, :-1])["psnr"].mean(axis=1)
    expected = np.std(of_each, ddof=1) / np.sqrt(len(of_each))
    assert report["standard_error"]["psnr"] == pytest.approx(expected, rel=1e-6)
    assert evaluate(CopyLast(), StandardSet(), NEXT_FRAME, 1)["standard_error"]["psnr"] is None


@pytest.mark.parametrize("task", [NEXT_FRAME, ROLLOUT])
def test_an_oracle_scores_no_error(task):
    report = evaluate(Oracle(), StandardSet(), task, 5)
    assert report["mse"] == report["mae"] == report["mse_sum"] == report["mae_sum"] == 0
    assert report["psnr"] == report["psnr_of_mean_mse"] == metrics.PSNR_CAP_DB
    assert report["mse_openstl"] == report["mae_openstl"] == 0
    assert report["ssim"] == pytest.approx(1)
    assert report["ssim_openstl"] == pytest.approx(1)
    assert report["skill"] == 1


@pytest.mark.parametrize("task", [NEXT_FRAME, ROLLOUT])
@pytest.mark.parametrize("shift", [-1, 1])
def test_an_oracle_off_by_one_frame_does_not(task, shift):
    assert evaluate(Oracle(shift), StandardSet(), task, 3)["psnr"] < 20


@pytest.mark.parametrize("task", [NEXT_FRAME, ROLLOUT])
def test_a_model_that_copies_scores_as_the_baseline_does(task):
    report = evaluate(CopyLast(), StandardSet(), task, 4)
    assert report["skill"] == 0
    for name, value in report["baselines"]["copy_last"].items():
        assert report[name] == value, name


def test_the_report_holds_what_is_promised():
    report = evaluate(CopyLast(), StandardSet(), NEXT_FRAME, 3)
    frame_metrics = {*metrics.FRAME_METRICS, *metrics.OPENSTL_METRICS}
    figures = {*frame_metrics, "psnr_of_mean_mse", "skill"}
    physical = {"centroid_px", "mass_ratio", "sharpness_ratio"}
    assert {"model", "mode", "sequences", "frames", "per_step", "baselines", *figures} <= set(report)
    assert (report["model"], report["mode"], report["sequences"]) == ("copier", "next-frame", 3)
    assert (report["frames"], report["predicted_frames"], report["first_target"]) == (20, 19, 1)
    assert report["mse_openstl"] == pytest.approx(report["mse_sum"])
    assert report["mae_openstl"] == pytest.approx(report["mae_sum"])
    assert report["ssim_openstl"] > report["ssim"]
    for scores in (report, *report["baselines"].values()):
        assert figures <= set(scores)
        assert set(scores["without_first_prediction"]) == figures
        assert set(scores["physics"]) == physical
        assert set(scores["per_step"]) == frame_metrics | physical
        for name, values in scores["per_step"].items():
            assert len(values) == 19
            if name in physical:
                assert np.mean(values) == pytest.approx(scores["physics"][name])
                continue
            assert np.mean(values) == pytest.approx(scores[name])
            assert np.mean(values[1:]) == pytest.approx(scores["without_first_prediction"][name])
    assert set(report["baselines"]) == {"copy_last", "constant_velocity", "bounce_oracle"}
    assert report["seconds"] > 0
    assert report["frames_per_second"] == pytest.approx(3 * 19 / report["seconds"])


def test_no_number_of_clips_is_timed_the_first_time():
    """JAX compiles for each."""

    class Watched(CopyLast):
        calls: ClassVar[list[int]] = []

        def next_frames(self, frames):
            self.calls.append(len(frames))
            return super().next_frames(frames)

    evaluate(Watched(), StandardSet(), NEXT_FRAME, 2 * SLICE_SEQUENCES + 3)
    whole = SLICE_SEQUENCES
    assert Watched.calls == [whole, whole, whole, 3, 3]


def test_physics_of_a_copier_and_of_frames_without_ink():
    """Copied digits are as sharp and as heavy as the true ones and in another place."""
    report = evaluate(CopyLast(), StandardSet(), NEXT_FRAME, 8)
    assert report["physics"]["centroid_px"] > 1
    assert report["physics"]["mass_ratio"] == pytest.approx(1, abs=0.05)
    assert report["physics"]["sharpness_ratio"] == pytest.approx(1, abs=0.05)

    class Empty(StandardSet):
        def clips(self, start, stop):
            return 0 * super().clips(start, stop)

        def motion(self, start, stop):
            return None

    nothing = evaluate(CopyLast(), Empty(), NEXT_FRAME, 1)
    assert nothing["physics"] == {"centroid_px": 0, "mass_ratio": None, "sharpness_ratio": None}
    assert nothing["per_step"]["mass_ratio"] == [None] * 19


def test_a_rollout_reports_its_lengths_and_no_first_prediction_apart():
    report = evaluate(CopyLast(), StandardSet(), ROLLOUT, 2)
    assert (report["context"], report["horizon"], report["predicted_frames"]) == (7, 5, 5)
    assert report["first_target"] == 7
    assert "without_first_prediction" not in report


def test_a_further_metric_is_reported_for_model_and_baselines_and_by_step():
    class Overshooting(CopyLast):
        def next_frames(self, frames):
            return 3 * super().next_frames(frames) - 1

    def step_number(truth, predictions):
        """A stand-in for LPIPS: 0 for the first predicted frame, 1 for the second ..."""
        assert truth.shape == predictions.shape
        assert truth.dtype == predictions.dtype == np.float32
        assert 0 <= predictions.min() <= predictions.max() <= 1
        return np.tile(np.arange(truth.shape[1]), (len(truth), 1))

    sequences = SLICE_SEQUENCES + 1
    report = evaluate(Overshooting(), StandardSet(), NEXT_FRAME, sequences, lpips=step_number)
    for scores in (report, *report["baselines"].values()):
        assert scores["per_step"]["lpips"] == list(range(19))
        assert scores["lpips"] == 9
        assert scores["without_first_prediction"]["lpips"] == 9.5


def test_slices_do_not_show():
    """The same figures however many slices there are, and every sequence is handed over once and in order."""
    sequences = SLICE_SEQUENCES + 3
    seen, done = [], []
    report = evaluate(
        CopyLast(),
        StandardSet(),
        NEXT_FRAME,
        sequences,
        on_slice=lambda truth, predictions: seen.append((truth, predictions)),
        progress=done.append,
    )
    truth, predictions = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    assert done == [SLICE_SEQUENCES, sequences]
    np.testing.assert_array_equal(truth, to_frames(benchmark_clips(0, sequences))[:, 1:])
    whole = metrics.summary(metrics.per_frame(truth, predictions))
    for name, value in whole.items():
        assert report[name] == pytest.approx(value), name


def test_skill_is_null_where_nothing_moves():
    class Still(StandardSet):
        def clips(self, start, stop):
            return np.repeat(super().clips(start, stop)[:, :1], 20, axis=1)

        def motion(self, start, stop):
            return None

    report = evaluate(CopyLast(), Still(), NEXT_FRAME, 2)
    assert report["skill"] is None
    assert set(report["baselines"]) == {"copy_last"}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("dream", 10, 10), "mode must be next-frame or rollout; got 'dream'"),
        (("rollout", 0, 10), "context must be 1 or more; got 0"),
        (("rollout", 10, -1), "horizon must be 1 or more; got -1"),
    ],
)
def test_a_task_says_what_is_wrong(arguments, text):
    with pytest.raises(ValueError, match=text):
        Task(*arguments)


def test_a_task_must_fit_the_clip():
    with pytest.raises(ValueError, match=r"context \+ horizon must be 20 or less, .*; got 15 \+ 6"):
        Task("rollout", 15, 6).predicted_frames(20)
    with pytest.raises(ValueError, match="frames must be 2 or more; got 1"):
        NEXT_FRAME.predicted_frames(1)
    with pytest.raises(ValueError, match="sequences must be 1 to 10000, .*; got 0"):
        evaluate(CopyLast(), StandardSet(), NEXT_FRAME, 0)


def test_known_baselines_are_taken_over_and_give_the_same_report():
    measured = evaluate(CopyLast(), StandardSet(), NEXT_FRAME, 3)
    again = evaluate(CopyLast(), StandardSet(), NEXT_FRAME, 3, known_baselines=measured["baselines"])
    for report in (measured, again):
        del report["seconds"], report["frames_per_second"]
    assert again == measured
