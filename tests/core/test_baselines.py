"""Baselines: what they predict, worked out by hand, and what they score on the standard set."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import baselines, metrics
from core.clip_sets import StandardSet
from core.moving_mnist import (
    benchmark_clips,
    benchmark_positions,
    benchmark_stamps,
    benchmark_velocities,
    render,
    to_frames,
)
from core.scenes import Digit, Scene
from tests.core.test_scenes import scenes

STAMP = np.zeros((1, 1, 28, 28), np.uint8)
STAMP[..., 0, 0] = 255  # one bright pixel at the stamp's corner shows where the stamp is


def corners(predictions: np.ndarray) -> list[list[int]]:
    """x, y of the one bright pixel of each predicted frame."""
    return [[int(x), int(y)] for y, x in (np.argwhere(frame == 1.0)[0] for frame in predictions[0])]


def path(*points: tuple[float, float]) -> np.ndarray:
    return np.array(points, float)[None, :, None, :]


# --- copy-last


def test_copy_last_predicts_the_frame_before():
    clip = np.random.default_rng(0).integers(0, 256, (2, 5, 8, 8), dtype=np.uint8)
    predictions = baselines.copy_last(clip)
    assert predictions.dtype == np.float32
    np.testing.assert_array_equal(predictions, to_frames(clip)[:, :4])


def test_copy_last_rollout_repeats_the_last_frame_of_the_context():
    frames = np.random.default_rng(0).random((2, 6, 8, 8), np.float32)
    predictions = baselines.copy_last_rollout(frames, 3, 5)
    assert predictions.shape == (2, 5, 8, 8)
    assert (predictions == frames[:, 2:3]).all()


def test_a_still_scene_is_copied_perfectly():
    still = np.repeat(np.random.default_rng(0).random((1, 1, 8, 8)), 4, axis=1)
    predictions = baselines.copy_last(still)
    assert (
        metrics.per_frame(metrics.align(still, predictions.astype(np.float32)), predictions)["mse"].max()
        < 1e-14
    )


# --- constant velocity


def test_constant_velocity_by_hand():
    predictions = baselines.constant_velocity(path((4, 6), (6, 5), (8, 4), (9, 4)), STAMP)
    # Nothing is known of motion at first: it stays; then each digit takes its last step again.
    assert corners(predictions) == [[4, 6], [8, 4], [10, 3]]


def test_constant_velocity_rollout_by_hand():
    predictions = baselines.constant_velocity_rollout(path((4, 6), (6, 5), (30, 30)), STAMP, 2, 3)
    assert corners(predictions) == [[8, 4], [10, 3], [12, 2]]


def test_a_rollout_from_one_frame_knows_no_motion():
    predictions = baselines.constant_velocity_rollout(path((4, 6), (6, 5)), STAMP, 1, 2)
    assert corners(predictions) == [[4, 6], [4, 6]]


def test_a_digit_stays_in_the_picture():
    predictions = baselines.constant_velocity_rollout(path((30, 2), (34, 1)), STAMP, 2, 3)
    assert corners(predictions) == [[36, 0], [36, 0], [36, 0]]


def test_exact_positions_are_floored_as_the_generator_does():
    predictions = baselines.constant_velocity(path((0, 0), (3.6, 1.2), (7.2, 2.4)), STAMP)
    assert corners(predictions) == [[0, 0], [7, 2]]


def test_digits_combine_by_maximum():
    stamps = np.stack([np.full((28, 28), 100, np.uint8), np.full((28, 28), 200, np.uint8)])[None]
    positions = np.zeros((1, 2, 2, 2))
    predictions = baselines.constant_velocity(positions, stamps)
    assert predictions.max() == np.float32(200) / np.float32(255)


@given(
    st.tuples(*[st.integers(8, 28)] * 2),
    st.tuples(*[st.integers(-2, 2)] * 2),
)
def test_constant_motion_is_predicted_exactly_after_the_first_frame(start, step):
    positions = (np.array(start) + np.arange(5)[:, None] * np.array(step))[None, :, None, :]
    truth = corners(baselines._draw(STAMP, positions.astype(float), 64))
    assert corners(baselines.constant_velocity(positions, STAMP))[1:] == truth[2:]
    assert corners(baselines.constant_velocity_rollout(positions, STAMP, 2, 3)) == truth[2:]


def test_no_baseline_sees_the_frame_it_predicts():
    clips, positions, stamps = benchmark_clips(0, 2), benchmark_positions(0, 2), benchmark_stamps(0, 2)
    changed_clips, changed_positions = clips.copy(), positions.copy()
    changed_clips[:, 12:] = 0
    changed_positions[:, 12:] = 0
    np.testing.assert_array_equal(
        baselines.copy_last(clips)[:, :12], baselines.copy_last(changed_clips)[:, :12]
    )
    np.testing.assert_array_equal(
        baselines.constant_velocity(positions, stamps)[:, :12],
        baselines.constant_velocity(changed_positions, stamps)[:, :12],
    )
    np.testing.assert_array_equal(
        baselines.constant_velocity_rollout(positions, stamps, 12, 8),
        baselines.constant_velocity_rollout(changed_positions, stamps, 12, 8),
    )


def test_on_the_standard_set_copying_scores_what_is_known_and_constant_velocity_beats_it():
    clips = benchmark_clips(0, 200)
    copied = baselines.copy_last(clips)
    copy_scores = metrics.summary(metrics.per_frame(metrics.align(clips, copied), copied))
    assert copy_scores["mse_sum"] == pytest.approx(200, rel=0.1)
    assert copy_scores["psnr"] == pytest.approx(13.4, abs=0.5)
    moved = baselines.constant_velocity(benchmark_positions(0, 200), benchmark_stamps(0, 200))
    moved_scores = metrics.summary(metrics.per_frame(metrics.align(clips, moved), moved))
    assert metrics.skill(moved_scores["mse"], copy_scores["mse"]) > 0.3


# --- bounce oracle


def test_the_bounce_oracle_turns_around_at_a_wall_as_the_generator_does():
    positions = path((30, 5), (33, 5), (36, 5), (33, 5))
    velocities = path((3, 0), (3, 0), (-3, 0), (-3, 0))
    assert corners(baselines.bounce_oracle(positions, velocities, STAMP)) == [[33, 5], [36, 5], [33, 5]]
    # from 33.5 the next step ends on the wall; then it flies back
    rolled = baselines.bounce_oracle_rollout(positions, velocities, STAMP, 2, 3)
    assert corners(rolled) == [[36, 5], [33, 5], [30, 5]]


def test_the_bounce_oracle_sees_whole_pixels_only():
    velocities = path((2, 0), (2, 0))
    seen = baselines.bounce_oracle(path((4.0, 7.0), (6, 7)), velocities, STAMP)
    np.testing.assert_array_equal(seen, baselines.bounce_oracle(path((4.9, 7.9), (6, 7)), velocities, STAMP))


def test_on_the_standard_set_the_oracle_beats_constant_velocity_most_of_all_in_a_rollout():
    clips, positions, stamps = benchmark_clips(0, 100), benchmark_positions(0, 100), benchmark_stamps(0, 100)
    velocities = benchmark_velocities(0, 100)
    for constant, oracle in (
        (
            baselines.constant_velocity(positions, stamps),
            baselines.bounce_oracle(positions, velocities, stamps),
        ),
        (
            baselines.constant_velocity_rollout(positions, stamps, 10, 10),
            baselines.bounce_oracle_rollout(positions, velocities, stamps, 10, 10),
        ),
    ):
        truth = metrics.align(clips, constant, 20 - constant.shape[1])
        error, oracle_error = ((predicted - truth) ** 2 for predicted in (constant, oracle))
        assert oracle_error.mean() < 0.6 * error.mean()


# --- of a scene


def flying(bounce="clamp", x=26.0):
    """One digit that flies to the right at 4 px a frame and meets the wall at 36 after three steps."""
    return Scene((Digit(7, 3, x, 10.0, 4.0, 0.0),), frames=7, bounce=bounce)


def errors(frames, scene, first):
    return ((frames - to_frames(render(scene))[first : first + len(frames)]) ** 2).mean(axis=(1, 2)).round(6)


def test_who_forgets_the_walls_is_right_up_to_one():
    # x: 26, 30, 34, 36 (the wall), 32, 28, 24. Nothing is known of motion from one frame; the step onto the
    # wall is held in the picture; after it the last step, 2 px, goes on outwards, then the digit is behind
    wrong = errors(baselines.scene_next_frames("constant_velocity", flying()), flying(), 1) > 0
    assert wrong.tolist() == [True, False, False, True, False, False]
    wrong = errors(baselines.scene_rollout("constant_velocity", flying(), 2, 5), flying(), 2) > 0
    assert wrong.tolist() == [False, False, True, True, True]


@pytest.mark.parametrize("bounce", ["clamp", "reflect"])
def test_the_oracle_knows_the_rule_of_the_scene(bounce):
    # in the middle of its pixel the oracle's guess is the truth, so the rule is all that can go wrong
    scene = flying(bounce, x=26.5)
    assert not errors(baselines.scene_next_frames("bounce_oracle", scene), scene, 1).any()
    assert not errors(baselines.scene_rollout("bounce_oracle", scene, 1, 6), scene, 1).any()


@given(scenes(), st.data())
def test_every_baseline_predicts_any_scene(scene, data):
    context = data.draw(st.integers(1, scene.frames))
    horizon = data.draw(st.integers(1, 5))
    side = (scene.canvas, scene.canvas)
    for name in baselines.BASELINES:
        made = baselines.scene_next_frames(name, scene)
        ahead = baselines.scene_rollout(name, scene, context, horizon)
        assert (made.shape, made.dtype) == ((scene.frames - 1, *side), np.float32)
        assert (ahead.shape, ahead.dtype) == ((horizon, *side), np.float32)


def test_a_rollout_of_a_scene_reads_only_what_was_given():
    short, long = (Scene(flying().digits, frames=frames) for frames in (3, 7))
    for name in baselines.BASELINES:
        np.testing.assert_array_equal(
            baselines.scene_rollout(name, short, 3, 4), baselines.scene_rollout(name, long, 3, 4)
        )


@pytest.mark.parametrize("number", [0, 430, 9999])
def test_clips_of_the_standard_set_are_told_as_they_are_scored(number):
    told, motion = baselines.Truth.of_standard(number), StandardSet().motion(number, number + 1)
    np.testing.assert_array_equal(told.clip, StandardSet().clips(number, number + 1)[0])
    [oracle] = baselines.bounce_oracle(motion.positions, motion.velocities, motion.stamps)
    np.testing.assert_array_equal(baselines.told_next_frames("bounce_oracle", told), oracle)
    [ahead] = baselines.constant_velocity_rollout(motion.positions, motion.stamps, 10, 4)
    np.testing.assert_array_equal(baselines.told_rollout("constant_velocity", told, 10, 4), ahead)


# --- what is refused

FRAMES = np.zeros((1, 5, 8, 8), np.float32)
POSITIONS = np.zeros((1, 5, 1, 2))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: baselines.copy_last(FRAMES[0]), r"\(batch, time, height, width\); got \(5, 8, 8\)"),
        (lambda: baselines.copy_last(FRAMES[:, :1]), "frames must be 2 or more; got 1"),
        (lambda: baselines.copy_last(FRAMES.astype(int)), "uint8 0..255 or floats .* got int64"),
        (lambda: baselines.copy_last_rollout(FRAMES, 0, 3), "context must be 1 to 5, .* got 0"),
        (lambda: baselines.copy_last_rollout(FRAMES, 6, 3), "context must be 1 to 5, .* got 6"),
        (lambda: baselines.copy_last_rollout(FRAMES, 2, 0), "horizon must be 1 or more; got 0"),
        (lambda: baselines.constant_velocity(POSITIONS[..., :1], STAMP), "positions must be .* got"),
        (
            lambda: baselines.constant_velocity(POSITIONS, STAMP[0]),
            r"stamps must be uint8 \(1, 1, 28, 28\); got",
        ),
        (
            lambda: baselines.constant_velocity(POSITIONS, STAMP / 255.0),
            "stamps must be uint8 .* got float64",
        ),
        (
            lambda: baselines.constant_velocity(POSITIONS + 37, STAMP),
            "positions must be 0 to 36 px; got 37 to 37",
        ),
        (lambda: baselines.constant_velocity(POSITIONS[:, :1], STAMP), "frames must be 2 or more; got 1"),
        (lambda: baselines.constant_velocity_rollout(POSITIONS, STAMP, 9, 1), "context must be 1 to 5"),
        (
            lambda: baselines.bounce_oracle(POSITIONS, POSITIONS[:, :3], STAMP),
            r"velocities must be \(1, 5, 1, 2\), as positions are; got \(1, 3, 1, 2\)",
        ),
        (lambda: baselines.bounce_oracle(POSITIONS, POSITIONS * np.nan, STAMP), "velocities must be finite"),
        (lambda: baselines.Truth.of_standard(10_000), "within 0 to 10000; got 10000 to 10001"),
        (
            lambda: baselines.scene_next_frames("luck", flying()),
            "a baseline is copy_last, constant_velocity or bounce_oracle; got 'luck'",
        ),
        (
            lambda: baselines.scene_rollout("bounce_oracle", flying(), 9, 1),
            "context must be 1 to 7, .* got 9",
        ),
    ],
)
def test_a_clear_refusal(call, text):
    with pytest.raises(ValueError, match=text):
        call()
